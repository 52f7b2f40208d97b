"""Where our webserver has the stored objects, for links to them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes, urlsplit

SERVED_AT = "/objects/"
"""Path of the objects below the UI's own; their keys follow."""


def served_below(ui_url: str) -> str:
    """Path of the objects on the host of the UI, which may have a path there itself."""
    return urlsplit(ui_url).path.rstrip("/") + SERVED_AT


@dataclass(frozen=True, slots=True)
class ServedObjects:
    """Objects of a store, as the UI's webserver has them.

    Attributes:
        root_url: Address of the store's root.
        ui_url: Address of the UI.
    """

    root_url: str
    ui_url: str

    def path(self, url: str) -> str | None:
        """Path of an object on the host of the UI; None for one that is not in the store.

        In the UI, it also leads there where people reach it at another host or port, such as
        through a tunnel.

        Args:
            url: Full address of the object.
        """
        root = f"{self.root_url}/"
        if not url.startswith(root):
            return None
        key = url.removeprefix(root)
        # In `gs://` addresses, keys stand literally.
        name = unquote_to_bytes(key) if url.startswith("file:") else key.encode()
        return served_below(self.ui_url) + quote(name)

    def address(self, url: str) -> str | None:
        """The same with the host, for whoever is not in the UI."""
        path, ui = self.path(url), urlsplit(self.ui_url)
        return path and f"{ui.scheme}://{ui.netloc}{path}"
