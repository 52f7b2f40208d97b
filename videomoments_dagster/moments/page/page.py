"""A video's page: what it shows as a frozen value, and the pure function from that to HTML.

Template, style and script are files beside this.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from videomoments_dagster.base.fingerprints import digest
from videomoments_dagster.base.text import clock, clock_with_tenths, one_line, shown
from videomoments_dagster.moments.exports.material import exported_moments
from videomoments_dagster.moments.exports.moment_lists import chapter_list, chapters
from videomoments_dagster.moments.page.page_addresses import Address, web_address
from videomoments_dagster.moments.page.page_parts import (
    clip_bar,
    moment_bar,
    refined_bar,
    speech_path,
    spoken_segments,
    ticks,
)
from videomoments_dagster.moments.records import Clip
from videomoments_dagster.moments.stored_videos import StoredVideo
from videomoments_dagster.sources.locations import path_of_file_url, redact

CODE_VERSION = "2"

_INLINE = ("page.css", "page.js")
_GAP = "\N{NO-BREAK SPACE}"
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a clip or of the video.

    Attributes:
        address: Where its bytes are.
        width: In pixels.
        height: In pixels.
        large: Where the same is in its full size, if it is anywhere.
    """

    address: Address
    width: int
    height: int
    large: Address | None = None


@dataclass(frozen=True, slots=True)
class PageContents:
    """All that one page shows.

    Attributes:
        stored: The video, and what is shown of all that is stored of it.
        video_address: Where the page plays the whole video from; None to play its clips.
        clip_addresses: Where the page plays clips from, by root moment.
        pictures: Small pictures, by root moment; None for the video itself.
        media_note: What a reader should know of the media, such as how to get them; may be empty.
    """

    stored: StoredVideo
    video_address: Address | None = None
    clip_addresses: Mapping[str, Address] = field(default_factory=dict)
    pictures: Mapping[str | None, Picture] = field(default_factory=dict)
    media_note: str = ""


def page_version() -> str:
    """Digest of all that determines a page besides its contents."""
    return digest([CODE_VERSION, *(_resource(name) for name in ("page.html", *_INLINE))])


def page_html(contents: PageContents) -> str:
    """Write the page: one HTML document that loads nothing but its media.

    Args:
        contents: What it shows. Equal contents give the same text.
    """
    stored, transcript = contents.stored, contents.stored.transcript
    video, duration = stored.video, stored.video.facts.duration_seconds
    return str(
        _template().render(
            page=contents,
            stored=stored,
            plays=contents.video_address is not None or bool(contents.clip_addresses),
            heading=one_line(video.title or "") or video.identifier,
            facts=tuple(_facts(stored)),
            source=_source(video.source_url),
            cards=tuple(_cards(contents)),
            embedded=any(one.is_embedded for one in contents.clip_addresses.values()),
            chapters=chapter_list(chapters(exported_moments(stored, "moments"), duration=duration)),
            duration=duration,
            speech=speech_path(transcript.words, duration) if transcript else "",
            ticks=ticks(duration) if duration > 0 else (),
            segments=spoken_segments(transcript) if transcript else (),
            language=language_tag(transcript.language) if transcript else "",
            css=Markup(_resource("page.css")),  # noqa: S704 - our own file
            script=Markup(_resource("page.js")),  # noqa: S704 - likewise
            policy=_policy(),
        )
    )


def clip_names(stored: StoredVideo) -> dict[str, str]:
    """What each clip is called when it is saved, by its moment: `talk-clip-01.mp4`."""
    order = {moment.identifier: number for number, moment in enumerate(stored.moments, start=1)}
    return {
        moment: f"{stored.identifier}-clip-{order.get(moment, 0):02d}.mp4"
        for moment in stored.clips
    }


def length(seconds: float) -> str:
    """A length in words, such as "40 s" or "1 min 20 s"."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    if not minutes:
        return f"{rest}{_GAP}s"
    return f"{minutes}{_GAP}min {rest}{_GAP}s" if rest else f"{minutes}{_GAP}min"


def size(kibibytes: int | None) -> str:
    """A size in words, such as "812 KiB" or "1.2 MiB"; empty where it is not known."""
    if kibibytes is None:
        return ""
    mebibytes = kibibytes / 1024
    return f"{kibibytes}{_GAP}KiB" if mebibytes < 1 else f"{mebibytes:.1f}{_GAP}MiB"


def language_tag(language: str) -> str:
    """Give a language for the `lang` attribute; empty (unknown) for what is no such tag."""
    return language if _LANGUAGE.fullmatch(language) else ""


def _cards(contents: PageContents) -> Iterator[dict[str, Any]]:
    """Each moment with all that belongs to it, as the template takes it."""
    stored, duration = contents.stored, contents.stored.video.facts.duration_seconds
    refined_of, names = stored.refined_by_root, clip_names(stored)
    for number, moment in enumerate(stored.moments, start=1):
        refined, clip = refined_of.get(moment.identifier), stored.clips.get(moment.identifier)
        yield {
            "number": number,
            "moment": moment,
            "title": one_line(moment.title) or f"Moment {number}",
            "bar": moment_bar(moment, duration),
            "refined": refined,
            "refined_bar": refined and refined_bar(refined, duration),
            "clip": clip,
            "clip_bar": clip and clip_bar(clip, duration),
            "clip_address": contents.clip_addresses.get(moment.identifier),
            "clip_name": names.get(moment.identifier),
            "clip_facts": clip and _clip_facts(clip),
            "picture": contents.pictures.get(moment.identifier),
        }


def _clip_facts(clip: Clip) -> str:
    times = f"{clock(clip.start_time)} to {clock(clip.end_time)}"
    return ", ".join(filter(None, (times, clip.format, clip.resolution, size(clip.file_size_kb))))


def _facts(stored: StoredVideo) -> Iterator[tuple[str, str]]:
    facts, transcript = stored.video.facts, stored.transcript
    yield "Length", clock(facts.duration_seconds)
    if facts.video is not None:
        yield "Picture", f"{facts.video.resolution}, {facts.video.codec}"
    yield "Moments", str(len(stored.moments))
    if transcript is not None:
        yield "Words", f"{len(transcript.words):,}"
        yield "Language", transcript.language or "unknown"
        yield "Transcript by", transcript.transcription_service


def _source(location: str | None) -> tuple[str, Address | None]:
    """Give where the video came from, and its address if that may be followed.

    Of a local file only the name is shown: the page may be sent to somebody. Addresses come
    without credentials and without the values of their parameters, and cannot be followed then.
    """
    if not location:
        return "", None
    local = location if location.startswith("/") else path_of_file_url(location)
    if local is not None:
        return local.rpartition("/")[2], None
    redacted = redact(location)
    return redacted, web_address(location) if redacted == location else None


@cache
def served_policy() -> str:
    """The policy of a page that a webserver sends: of scripts, only that of this release runs.

    What the page itself allows is no more than that, unless somebody else wrote it.
    """
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src {_hashed('page.js')}; "
        "img-src data: 'self'; media-src data: blob: 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'self'"
    )


@cache
def _policy() -> str:
    """Allow our own style and script by their hashes, media, and nothing else at all.

    For a page at `file://`, browsers differ in what `'self'` is; `file:` means nothing elsewhere.
    """
    style, script = map(_hashed, _INLINE)
    return (
        f"default-src 'none'; style-src {style}; script-src {script}; "
        "img-src data: 'self' file:; media-src data: blob: 'self' file:; base-uri 'none'; "
        "form-action 'none'"
    )


def _hashed(name: str) -> str:
    digest_of_file = hashlib.sha256(_resource(name).encode()).digest()
    return f"'sha256-{base64.b64encode(digest_of_file).decode()}'"


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
        "seconds": "{:.3f}".format,
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
