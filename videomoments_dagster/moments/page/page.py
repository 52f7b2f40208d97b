"""From what a page shows to its HTML.

Belongs here: filling in the template, and the page's content security policy. Does not belong
here: words, colours and behaviour (`page.html`, `page.css`, `page.js`).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from videomoments_dagster.base.fingerprints import digest
from videomoments_dagster.base.text import clock, clock_with_tenths
from videomoments_dagster.moments.page import page_timeline as timeline
from videomoments_dagster.moments.page.contents import PageContents, Picture
from videomoments_dagster.moments.page.page_addresses import Address, web_address
from videomoments_dagster.moments.page.shown_text import language_tag, length, one_line, shown, size
from videomoments_dagster.moments.page.spoken_words import spoken_segments
from videomoments_dagster.moments.records import Clip, Moment
from videomoments_dagster.sources.locations import path_of_file_url, redact

CODE_VERSION = "1"


def page_version() -> str:
    """Digest of all that determines a page besides its contents."""
    return digest([CODE_VERSION, *(_resource(name) for name in ("page.html", *_INLINE))])


def page_html(contents: PageContents) -> str:
    """Write the page: one HTML document that loads nothing but its media.

    Args:
        contents: What it shows. Equal contents give the same text.
    """
    transcript = contents.transcript
    duration = contents.video.facts.duration_seconds
    return str(
        _template().render(
            page=contents,
            heading=one_line(contents.video.title or "") or contents.video.identifier,
            facts=tuple(_facts(contents)),
            source=_source(contents.video.source_url),
            cards=tuple(_cards(contents)),
            embedded=any(one.is_embedded for one in contents.clip_addresses.values()),
            chapters=_chapters(contents.moments),
            has_timeline=duration > 0,
            speech=timeline.speech_path(transcript.words, duration)
            if transcript and duration
            else "",
            ticks=timeline.ticks(duration) if duration > 0 else (),
            segments=spoken_segments(transcript) if transcript else (),
            language=language_tag(transcript.language) if transcript else "",
            css=Markup(_resource("page.css")),  # noqa: S704 - our own file
            script=Markup(_resource("page.js")),  # noqa: S704 - likewise
            policy=_policy(),
        )
    )


@dataclass(frozen=True, slots=True)
class _Card:
    """A moment with all that belongs to it, ready to be shown."""

    number: int
    moment: Moment
    title: str
    bar: timeline.Bar | None
    refined: Moment | None
    refined_bar: timeline.Bar | None
    clip: Clip | None
    clip_bar: timeline.Bar | None
    clip_address: Address | None
    clip_name: str
    clip_facts: str
    picture: Picture | None


def _cards(contents: PageContents) -> Iterator[_Card]:
    duration = contents.video.facts.duration_seconds
    drawn = duration > 0
    for number, moment in enumerate(contents.moments, start=1):
        refined = contents.refined.get(moment.identifier)
        clip = contents.clips.get(moment.identifier)
        yield _Card(
            number=number,
            moment=moment,
            title=one_line(moment.title) or f"Moment {number}",
            bar=timeline.moment_bar(moment, duration) if drawn else None,
            refined=refined,
            refined_bar=timeline.refined_bar(refined, duration) if drawn and refined else None,
            clip=clip,
            clip_bar=timeline.clip_bar(clip, duration) if drawn and clip else None,
            clip_address=contents.clip_addresses.get(moment.identifier),
            clip_name=contents.clip_names.get(moment.identifier, ""),
            clip_facts=", ".join(
                fact
                for fact in (
                    f"{clock(clip.start_time)} to {clock(clip.end_time)}",
                    clip.format,
                    clip.resolution,
                    size(clip.file_size_kb),
                )
                if fact
            )
            if clip
            else "",
            picture=contents.pictures.get(moment.identifier),
        )


def _facts(contents: PageContents) -> Iterator[tuple[str, str]]:
    facts, transcript = contents.video.facts, contents.transcript
    yield "Length", clock(facts.duration_seconds)
    if facts.video is not None:
        yield "Picture", f"{facts.video.resolution}, {facts.video.codec}"
    yield "Moments", str(len(contents.moments))
    if transcript is not None:
        yield "Words", f"{len(transcript.words):,}"
        yield "Language", transcript.language or "unknown"
        yield "Transcript by", transcript.transcription_service


def _source(location: str | None) -> tuple[str, Address | None]:
    """Give where the video came from, and its address if that may be followed.

    Of a local file only the name is told: the page may be sent to somebody. Addresses come
    without credentials and without the values of their parameters, and cannot be followed then.
    """
    if not location:
        return "", None
    local = location if location.startswith("/") else path_of_file_url(location)
    if local is not None:
        return local.rpartition("/")[2], None
    told = redact(location)
    return told, web_address(location) if told == location else None


def _chapters(moments: tuple[Moment, ...]) -> str:
    """Give a line for each moment, as video sites read them from a description."""
    lines = [f"{clock(moment.start_time)} {one_line(moment.title)}" for moment in moments]
    if lines and int(moments[0].start_time) > 0:
        lines.insert(0, "0:00 Beginning")
    return "\n".join(lines)


_INLINE = ("page.css", "page.js")


@cache
def _policy() -> str:
    """Allow our own style and script by their hashes, media, and nothing else at all.

    For a page at `file://`, browsers differ in what `'self'` is; `file:` means nothing elsewhere.
    """
    style, script = (
        base64.b64encode(hashlib.sha256(_resource(name).encode()).digest()).decode()
        for name in _INLINE
    )
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src 'sha256-{style}'",
            f"script-src 'sha256-{script}'",
            "img-src data: 'self' file:",
            "media-src data: blob: 'self' file:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


@cache
def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> Any:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_finished,
    )
    environment.filters |= {
        "clock": clock,
        "clock_with_tenths": clock_with_tenths,
        "length": length,
        "seconds": lambda value: f"{value:.3f}",
    }
    return environment.from_string(_resource("page.html"))


def _finished(value: object) -> object:
    """Clean every text on its way into the page; what is None is not written."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, Address):
        # Clean already, and perhaps many megabytes.
        return value.text
    return "" if value is None else shown(str(value))
