"""Where our webserver has the stored objects, for links to them."""

from urllib.parse import quote, unquote_to_bytes, urlsplit

SERVED_AT = "/objects/"
"""Path of the objects below the UI's own; their keys follow."""


def served_below(ui_url: str) -> str:
    """Path of the objects on the host of the UI, which may have a path there itself."""
    return urlsplit(ui_url).path.rstrip("/") + SERVED_AT


def served_path(url: str, *, root_url: str, ui_url: str) -> str | None:
    """Path of an object on the host of the UI; None for one that is not in the store.

    Without a host, it also leads there where people reach the UI by another name, such as through a
    tunnel or at another port.

    Args:
        url: Full address of the object.
        root_url: Address of the store's root.
        ui_url: Address of the UI.
    """
    root = f"{root_url}/"
    if not url.startswith(root):
        return None
    key = url.removeprefix(root)
    # In `gs://` addresses, keys stand literally.
    name = unquote_to_bytes(key) if url.startswith("file:") else key.encode()
    return served_below(ui_url) + quote(name)


def served_address(url: str, *, root_url: str, ui_url: str) -> str | None:
    """The same in full, for whoever is not in the UI already."""
    path = served_path(url, root_url=root_url, ui_url=ui_url)
    parts = urlsplit(ui_url)
    return path and f"{parts.scheme}://{parts.netloc}{path}"
