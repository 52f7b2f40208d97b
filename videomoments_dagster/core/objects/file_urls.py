"""`file://` addresses of this machine.

Belongs here: taking them apart, which never fails on odd text. Does not belong here: what is
done with the path.
"""

from __future__ import annotations

import os
from urllib.parse import unquote_to_bytes, urlsplit


def path_of_file_url(url: str) -> str | None:
    """Give the decoded absolute path of a `file://` address; None when it is not one.

    Addresses of another machine, with a query or with a fragment are none; a `?` or `#` that
    belongs to a name has to be percent-encoded.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return None
    path = os.fsdecode(unquote_to_bytes(parts.path))
    if parts.query or parts.fragment or "\0" in path or not path.startswith("/"):
        return None
    return path
