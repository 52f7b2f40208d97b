"""SVG pictures inside Markdown.

Belongs here: escaping, and the way of a picture into a Markdown text. Does not belong here: what is
drawn.

Dagster's UI shows `![words](data:image/...)`, and nothing of HTML. A picture there follows the
theme of the system by `prefers-color-scheme`, which need not be the theme of the UI: it has to be
readable in both either way.
"""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import quote
from xml.sax.saxutils import escape

INLINE_CHARACTERS = 999
"""Longest Markdown that Dagster's UI shows at once; longer texts are behind a link."""

MOST_CHARACTERS = 20_000
"""Longest picture, since the event log keeps each for good."""

_SAFE = "/:=,;'+-.!"


def svg_address(svg: str) -> str:
    """An SVG document as an address that Markdown takes for a picture's."""
    return "data:image/svg+xml," + quote(svg, safe=_SAFE)


def webp_address(content: bytes) -> str:
    """A WebP file as an address that Markdown and SVG take for a picture's."""
    return "data:image/webp;base64," + b64encode(content).decode("ascii")


def markdown_picture(address: str, *, words: str) -> str:
    """Markdown that shows a picture, and says the same in words.

    Args:
        address: Address of the picture; `svg_address` and `webp_address` make one.
        words: What is to be seen, for those who do not see it.
    """
    plain = " ".join(words.split())
    for character in "\\[]`*_<>&":
        plain = plain.replace(character, f"\\{character}")
    return f"![{plain}]({address})"


def text_content(text: str) -> str:
    """Text from anywhere as the content of an SVG element."""
    return escape(
        "".join(
            one if one.isprintable() or one == " " else "\N{REPLACEMENT CHARACTER}" for one in text
        )
    )


def number(value: float) -> str:
    """A coordinate with one decimal at most, as short as it can be written."""
    shown = f"{value:.1f}".removesuffix(".0")
    return "0" if shown == "-0" else shown
