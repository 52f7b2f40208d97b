"""What the UI shows of each asset: tables, links, numbers, and the pictures kept for it."""

from __future__ import annotations

import re
import textwrap
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any

import dagster as dg

from videomoments_dagster.base.failures import MediaFailed, VideoMomentsError
from videomoments_dagster.base.text import clock, clock_with_tenths
from videomoments_dagster.core.metadata_values import (
    LONGEST_CELL,
    MAX_ROWS,
    browsable,
    link,
    local_path,
    markdown_text,
    opened_at,
    table,
)
from videomoments_dagster.core.objects.served import ServedObjects
from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.media.frame_pictures import make_thumbnail
from videomoments_dagster.media.stills import contact_sheet, small_picture
from videomoments_dagster.moments.finding.quotes import quotes
from videomoments_dagster.moments.metadata.pictures import (
    INLINE_CHARACTERS,
    Timeline,
    labelled_sheet,
    large_timeline,
    photograph,
    small_timeline,
)
from videomoments_dagster.moments.records import (
    Clip,
    ClipFailure,
    Clips,
    Moment,
    Moments,
    Prompt,
    SelectedConfigs,
    Thumbnails,
    Video,
)
from videomoments_dagster.moments.soundness import TIME_TOLERANCE_SECONDS, boundary_shifts
from videomoments_dagster.sources.locations import redact
from videomoments_dagster.speech.transcripts import (
    Transcript,
    speech_density,
    spoken_seconds,
    spoken_stretches,
)

PICTURES = "stored_pictures"
"""Name, in what is remembered of a result, of its frame as small and as larger picture."""

# Longest side in pixels, and most bytes.
_SIZES = {"small": (128, 620), "large": (400, 9_000)}
_LONGEST_PROMPT = 3_000
_PARAMETERS = (
    *((name, name) for name in ("temperature", "top_p", "top_k")),
    ("shortest moment, seconds", "min_moment_length"),
    ("longest moment, seconds", "max_moment_length"),
    ("moments at least", "min_moments"),
    ("moments at most", "max_moments"),
)

SHEET = "stored_sheet"
"""Name, in what is remembered of a result, of its contact sheet."""

SNAPPING = "stored_snapping"
"""Name, in what is remembered of refined moments, of what putting them into pauses came to."""

MOST_TILES = 16
_COLUMNS = (4, 5, 3)
_LANDSCAPE, _PORTRAIT = (160, 90), (90, 160)


def frame_pictures(path: Path, facts: MediaFacts, *, folder: Path) -> dict[str, str]:
    """A frame of the video, small enough to be remembered with it.

    Args:
        path: The video's file.
        facts: Its probe.
        folder: Where a temporary file may be put.

    Returns:
        WebP as base64 by "small" and "large"; nothing for a video that has or yields no picture.
    """
    if facts.video is None:
        return {}
    try:
        frame = make_thumbnail(
            path,
            facts,
            start_time=0.0,
            end_time=facts.duration_seconds,
            destination=folder / "frame.jpg",
            samples=2,
            timeout_seconds=5.0,
        ).path
        pictures = {
            size: small_picture(frame, side=side, at_most_bytes=most)
            for size, (side, most) in _SIZES.items()
        }
    except (VideoMomentsError, OSError):
        # The video is right without its picture, and `thumbnails` will say what is wrong.
        return {}
    return {size: b64encode(picture.content).decode() for size, picture in pictures.items()}


def video_metadata(
    video: Video, details: Mapping[str, Any], served: ServedObjects
) -> dict[str, Any]:
    """The picture, the streams, and where the stored file is."""
    facts = video.facts
    words = f"A frame of the video, which is {clock(facts.duration_seconds)} long"
    pictures = details.get(PICTURES) or {}
    shown: dict[str, Any] = {
        name: dg.MetadataValue.md(photograph(pictures[size], words=words))
        for name, size in (("picture", "small"), ("picture_large", "large"))
        if size in pictures
    }
    picture, sound, opened = facts.video, facts.audio, browsable(redact(video.source_url or ""))
    shown |= {
        "duration": clock(facts.duration_seconds),
        "size_mib": round(facts.size_bytes / 1024**2, 2),
        "link": link(video.cloud_url, served),
        "path": dg.MetadataValue.path(local_path(video.cloud_url)),
        "title": video.title or None,
        "width_pixels": picture and picture.width,
        "height_pixels": picture and picture.height,
        "frames_per_second": round((picture and picture.frame_rate) or 0.0, 3) or None,
        "sound_channels": sound and sound.channels,
        "sound_samples_per_second": sound and sound.sample_rate,
        "source_link": opened and dg.MetadataValue.url(opened),
    }
    return {name: value for name, value in shown.items() if value is not None}


def transcript_metadata(transcript: Transcript, *, duration_seconds: float) -> dict[str, Any]:
    """Speech in seconds, as a share and by the minute, and the first lines.

    Args:
        transcript: What is said.
        duration_seconds: Length of the video.
    """
    spoken = spoken_seconds(spoken_stretches(transcript.words, duration_seconds=duration_seconds))
    shown: dict[str, Any] = {
        "speech_seconds": round(spoken, 3),
        "speech_share": round(spoken / duration_seconds, 4) if duration_seconds > 0 else 0.0,
    }
    if spoken > 0:
        shown["words_per_minute_of_speech"] = round(len(transcript.words) / spoken * 60, 1)
    if transcript.segments:
        shown["first_lines"] = dg.MetadataValue.md(_first_lines(transcript))
    return shown


def _first_lines(transcript: Transcript) -> str:
    lines = [
        f"**{clock(one.start)}** {markdown_text(one.text, longest=160)}"
        for one in transcript.segments[:12]
    ]
    while len(text := "  \n".join(lines)) > INLINE_CHARACTERS:
        lines.pop()
    return text


def configs_metadata(configs: SelectedConfigs) -> dict[str, Any]:
    """A table of parameters, and the texts that a model is given."""
    three: Sequence[Any] = (configs.generation, configs.refinement, configs.scoring)
    rows = [
        ("model", *(one.model for one in three)),
        # Scoring has no limits.
        *((name, *(_number(getattr(one, of, None)) for one in three)) for name, of in _PARAMETERS),
        ("boundaries move at most, seconds", "", _number(configs.max_shift_seconds), ""),
    ]
    prompts = [
        f"### {name}\n\n**System prompt**\n\n{_block(one.prompt.system_prompt)}\n\n"
        f"**User prompt**\n\n{_block(one.prompt.user_prompt)}"
        for name, one in zip(("Finding", "Refining", "Scoring"), three, strict=True)
        if one.prompt != Prompt("", "")
    ]
    names = ("parameter", "finding", "refining", "scoring")
    columns = {name: ("string", itemgetter(at)) for at, name in enumerate(names)}
    return {
        "parameters": table(columns, [row for row in rows if any(row[1:])]),
        "max_shift_seconds": configs.max_shift_seconds,
        "prompts": dg.MetadataValue.md("\n\n".join(prompts) or "There are no prompts."),
    }


def moments_metadata(
    moments: Moments,
    *,
    transcript: Transcript,
    duration_seconds: float,
    roots: Moments | None = None,
    details: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Start, end, length, score, title and quote of each, where they lie, and what they come to.

    Args:
        moments: The moments.
        transcript: What is said.
        duration_seconds: Length of the video.
        roots: For refined moments, those that they refine: how far boundaries were moved is
            shown too.
        details: For refined moments, what is remembered of them.
    """
    before = roots.moments if roots else ()
    parents = {root.identifier: root for root in before}
    pairs = [(one, parents.get(one.parent_identifier or "")) for one in moments.moments]
    identifiers = [one.identifier for one in moments.moments]
    said = dict(zip(identifiers, quotes(moments.moments, transcript), strict=True))
    columns: dict[str, tuple[str, Callable[[Any], Any]]] = {
        "start": ("string", lambda pair: clock_with_tenths(pair[0].start_time)),
        "start moved": ("float", lambda pair: _moved(pair, "start_time")),
        "end": ("string", lambda pair: clock_with_tenths(pair[0].end_time)),
        "end moved": ("float", lambda pair: _moved(pair, "end_time")),
        "seconds": ("float", lambda pair: round(pair[0].end_time - pair[0].start_time, 1)),
        "score": ("int", lambda pair: pair[0].score),
        "title": ("string", lambda pair: pair[0].title),
        "quote": ("string", lambda pair: said[pair[0].identifier]),
    }
    if roots is None:
        del columns["start moved"], columns["end moved"]
    stretches = spoken_stretches(transcript.words, duration_seconds=duration_seconds)

    def density(parts: int) -> tuple[float, ...]:
        return speech_density(stretches, duration_seconds=duration_seconds, parts=parts)

    timeline = Timeline(duration_seconds, density, moments.moments, before)
    pictures = {"timeline": small_timeline(timeline), "timeline_large": large_timeline(timeline)}
    summary = _summary(moments, duration_seconds, refines=bool(before))
    shifts: tuple[float, ...] = ()
    if roots is not None:
        shifts = boundary_shifts(moments, roots)
        summary += f"  \n{said_of_shifts(shifts, **((details or {}).get(SNAPPING) or {}))}"
    return {
        "summary": dg.MetadataValue.md(summary),
        **{name: dg.MetadataValue.md(text) for name, text in pictures.items() if text},
        "table": table(columns, pairs),
        **_numbers(moments.moments, shifts),
    }


def said_of_shifts(shifts: Sequence[float], *, pauses_in: str = "", openers: int = 0) -> str:
    """How many boundaries were moved, how far, and by what, as sentences.

    Args:
        shifts: How far each was moved, seconds.
        pauses_in: Where pauses were looked for: "sound" or "words"; empty where nobody knows.
        openers: How many starts were put behind a word such as "so" or "and".
    """
    moved = [shift for shift in shifts if shift >= TIME_TOLERANCE_SECONDS]
    if not moved:
        return "Refining changed nothing: no boundary was moved."
    mean = sum(moved) / len(moved)
    said = (
        f"Refining moved {len(moved)} of {len(shifts)} boundaries, by {mean:.2f} s on average and "
        f"{max(moved):.2f} s at most."
    )
    if openers:
        said += f" {openers} begin{'s' * (openers == 1)} without a leading word such as 'so'."
    heard = {"sound": "the sound", "words": "the gaps between words"}.get(pauses_in)
    return f"{said} Pauses were taken from {heard}." if heard else said


def _moved(pair: tuple[Moment, Moment | None], boundary: str) -> float | None:
    moment, root = pair
    return round(getattr(moment, boundary) - getattr(root, boundary), 2) if root else None


def _summary(moments: Moments, duration_seconds: float, *, refines: bool) -> str:
    """What there is in a sentence, the best of it, and how to read the time line."""
    found, length = moments.moments, clock(duration_seconds)
    if not found:
        return f"No moments in {length} of video. {markdown_text(moments.why_fewer)}".strip()
    together = clock(sum(one.end_time - one.start_time for one in found))
    lines = [f"**{len(found)} moment{'s' * (len(found) > 1)}**, together {together} of {length}."]
    scored = [one for one in found if one.score is not None]
    if scored:
        best = max(scored, key=lambda one: one.score or 0)
        times = f"{clock(best.start_time)} to {clock(best.end_time)}"
        title = f", *{markdown_text(best.title, longest=LONGEST_CELL)}*" if best.title else ""
        lines.append(f"The best, with a score of {best.score} of 10, is {times}{title}.")
    read = "In the timeline, blue is a moment" + ", with its score above it" * bool(scored)
    under = "; the line under it is where it was before its boundaries were moved" * refines
    lines.append(f"{read}{under}; grey is how much is said.")
    return "  \n".join(lines)


def _numbers(moments: Sequence[Moment], shifts: Sequence[float]) -> dict[str, float]:
    lengths = [one.end_time - one.start_time for one in moments]
    scores = [one.score for one in moments if one.score is not None]
    numbers: dict[str, float] = {"moments_seconds": round(sum(lengths), 3)}
    if lengths:
        numbers["shortest_seconds"] = round(min(lengths), 3)
        numbers["longest_seconds"] = round(max(lengths), 3)
    if scores:
        numbers["mean_score"] = round(sum(scores) / len(scores), 2)
        numbers["best_score"] = max(scores)
    if shifts:
        numbers["boundaries_moved"] = sum(shift >= TIME_TOLERANCE_SECONDS for shift in shifts)
        numbers["largest_shift_seconds"] = round(max(shifts), 3)
        numbers["mean_shift_seconds"] = round(sum(shifts) / len(shifts), 3)
    return numbers


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _block(text: str) -> str:
    """Text as it is, whatever it holds: the fence is longer than any in it."""
    if len(text) > _LONGEST_PROMPT:
        text = f"{text[:_LONGEST_PROMPT]}\n… and {len(text) - _LONGEST_PROMPT} characters more"
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    # The UI does not wrap lines in a block.
    lines = [textwrap.fill(line, 70) for line in text.strip().splitlines()]
    return "\n".join([f"{fence}text", *lines, fence])


def clips_metadata(clips: Clips, *, moments: Moments, served: ServedObjects) -> dict[str, Any]:
    """Where each clip begins and ends, its padding, size and way of cutting, and its link.

    Args:
        clips: The clips.
        moments: The moments that they show, for their titles.
        served: Where people open them.
    """
    if not clips.clips:
        return {}
    titles = {moment.identifier: moment.title for moment in moments.moments}
    links = [_link(clip, served) for clip in clips.clips[:MAX_ROWS]]
    methods = [clip.method for clip in clips.clips]
    ways = {"copy": "copied", "encode": "encoded"}
    return {
        "table": table(
            {
                "start": ("string", lambda clip: clock_with_tenths(clip.start_time)),
                "end": ("string", lambda clip: clock_with_tenths(clip.end_time)),
                "seconds": ("float", lambda clip: round(clip.end_time - clip.start_time, 2)),
                "before": ("float", lambda clip: round(clip.padding_left, 2)),
                "after": ("float", lambda clip: round(clip.padding_right, 2)),
                "KiB": ("int", lambda clip: clip.file_size_kb),
                "cut by": ("string", lambda clip: ways.get(clip.method)),
                "codecs": ("string", _codecs),
                "shows": ("string", lambda clip: titles.get(clip.moment_identifier)),
            },
            clips.clips,
        ),
        "links": dg.MetadataValue.md(
            "\n".join(f"- {one}" for one in _shortened(links, clips.clips))
        ),
        "clips_seconds": round(sum(clip.end_time - clip.start_time for clip in clips.clips), 3),
        "clips_size_mib": round(sum(clip.file_size_kb or 0 for clip in clips.clips) / 1024, 2),
        **{counted: methods.count(method) for method, counted in ways.items()},
    }


def failures_table(failures: Sequence[ClipFailure]) -> dg.TableMetadataValue:
    """Moment and reason of each clip that could not be cut."""
    columns = {"moment": "moment_identifier", "why there is no clip": "reason"}
    return table({name: ("string", attrgetter(of)) for name, of in columns.items()}, failures)


def remembered_sheet(
    pictures: Sequence[tuple[str, Path]], *, upright: bool, of: int
) -> dict[str, Any]:
    """A contact sheet, small enough to be remembered with the thumbnails.

    Args:
        pictures: A label and a picture file for each tile, at most `MOST_TILES`.
        upright: Whether the pictures are taller than wide.
        of: How many thumbnails there are.

    Returns:
        The sheet as JSON values; nothing where there are no pictures or one is unreadable.
    """
    if not pictures:
        return {}
    # The number of columns that leaves the fewest places empty.
    columns = min(_COLUMNS, key=lambda number: -len(pictures) % number)
    tile, paths = _PORTRAIT if upright else _LANDSCAPE, [path for _, path in pictures]
    try:
        sheet = contact_sheet(paths, columns=columns, tile=tile, at_most_bytes=11_000)
    except (MediaFailed, OSError):
        # The sheet is for looking at; the check of the stored pictures names the broken one.
        return {}
    return {
        "picture": b64encode(sheet.content).decode(),
        "width": sheet.width,
        "height": sheet.height,
        "columns": columns,
        "labels": [label for label, _ in pictures],
        "of": of,
    }


def thumbnails_metadata(
    thumbnails: Thumbnails, *, clips: Clips, details: Mapping[str, Any], served: ServedObjects
) -> dict[str, Any]:
    """The contact sheet, the pictures themselves, and how much they take.

    Args:
        thumbnails: The pictures.
        clips: Whose they are, for where in the video each begins.
        details: What is remembered of the result.
        served: Where people open them.
    """
    shown: dict[str, Any] = {}
    if details.get(SHEET):
        shown["contact_sheet"] = dg.MetadataValue.md(labelled_sheet(**details[SHEET]))
    if thumbnails.thumbnails:
        starts = {one.moment_identifier: one.start_time + one.padding_left for one in clips.clips}
        links = [
            _opened(clock(starts.get(owner, 0.0)) if owner else "video", one.cloud_url, served)
            for one in thumbnails.thumbnails[:MAX_ROWS]
            for owner in [one.clip_of_moment]
        ]
        shown["links"] = dg.MetadataValue.md(", ".join(_shortened(links, thumbnails.thumbnails)))
        shown["thumbnails_size_kib"] = sum(one.file_size_kb or 0 for one in thumbnails.thumbnails)
    return shown


def _codecs(clip: Clip) -> str:
    return "/".join(filter(None, (clip.video_codec, clip.audio_codec)))


def _shortened(links: list[str], of: Sequence[object]) -> list[str]:
    more = len(of) - len(links)
    return [*links, f"and {more} more"] if more else links


def _link(clip: Clip, served: ServedObjects) -> str:
    times = f"{clock_with_tenths(clip.start_time)} to {clock_with_tenths(clip.end_time)}"
    return _opened(times, clip.cloud_url, served)


def _opened(words: str, url: str, served: ServedObjects) -> str:
    if opened := opened_at(url, served):
        return f"[{words}](<{opened}>)"
    return f"{words}: {markdown_text(local_path(url))}"
