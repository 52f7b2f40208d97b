"""An inbox that is a folder of this machine.

Belongs here: listing it, and telling whole files from those that are still written. Does not
belong here: what is done with them.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from videomoments_dagster.base.failures import SourceUnavailable
from videomoments_dagster.moments.intake.arrivals import Arrival, captions_beside, is_media_name

SETTLE_SECONDS = 10.0
"""A file that nobody has written to for this long is taken to be whole."""


def list_folder(root: Path, *, now: float, settle_seconds: float = SETTLE_SECONDS) -> list[Arrival]:
    """List the media files in a folder and below it that are whole, in the order of their paths.

    Symbolic links to folders are not followed. A file is left for later while it, or the caption
    file beside it, was written to within the last `settle_seconds`, or is empty.

    Args:
        root: The folder.
        now: Seconds since 1970, by the clock that files are stamped with.
        settle_seconds: How long a file must have been left alone.

    Raises:
        SourceUnavailable: A folder cannot be listed. That is not the same as an empty one.
    """
    found: dict[str, os.stat_result] = {}
    for folder, below, names in os.walk(root, onerror=_refuse):
        below[:] = [name for name in below if not name.startswith(".")]
        for name in names:
            path = Path(folder, name)
            try:
                status = path.stat()
            except OSError:
                # Gone since it was listed, or a link that leads nowhere.
                continue
            if stat.S_ISREG(status.st_mode):
                found[path.relative_to(root).as_posix()] = status
    arrivals = []
    for relative in sorted(found):
        if not is_media_name(relative):
            continue
        captions = captions_beside(relative, found)
        files = [found[relative]] + ([found[captions]] if captions else [])
        settled = all(file.st_size and file.st_mtime <= now - settle_seconds for file in files)
        if settled:
            status = found[relative]
            arrivals.append(
                Arrival(
                    location=str((root / relative).resolve()),
                    state=f"{status.st_size}|{status.st_mtime_ns}",
                    size_bytes=status.st_size,
                    captions=str((root / captions).resolve()) if captions else None,
                )
            )
    return arrivals


def _refuse(error: OSError) -> None:
    raise SourceUnavailable(
        f"the inbox {error.filename} cannot be listed: {error.strerror or error}",
        remedy="Make the folder and let it be read, or set VIDEOMOMENTS_INBOX to another",
    ) from error
