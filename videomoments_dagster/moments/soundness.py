"""What must hold of results, as pure functions from values to sentences about what does not.

One function a rule; no sentences mean that it holds. Where a step cannot work with what does not
hold, `require_...` refuses it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from videomoments_dagster.base.failures import ResultUnsound
from videomoments_dagster.base.files import kibibytes
from videomoments_dagster.base.text import clock
from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.media.stills import PRESENTABLE_EXPOSURE
from videomoments_dagster.moments.records import (
    Clip,
    ClipFile,
    GenerationConfig,
    Moment,
    Moments,
    SelectedConfigs,
    Video,
)
from videomoments_dagster.speech.transcripts import Transcript, spoken_seconds, spoken_stretches

TIME_TOLERANCE_SECONDS = 0.001
"""Times are written to the millisecond, and sums of floats are not exact."""

_LONG_ENOUGH_SECONDS = 120.0
_LEAST_SHARE = 0.02
_LEAST_WORDS_PER_MINUTE = 20.0
_MOST_WORDS_PER_MINUTE = 450.0
_SLOWEST_PRESENTED_RATE = 10.0
_SOUND_FRAME_SECONDS = 0.06


def word_time_problems(transcript: Transcript, duration_seconds: float) -> tuple[str, ...]:
    """Words whose times go backwards or lie outside the video, each as a sentence.

    Args:
        transcript: What is said.
        duration_seconds: Length of the video.
    """
    problems: list[str] = []
    latest = -math.inf
    for place, word in enumerate(transcript.words, start=1):
        named, start, end = f"word {place}, '{word.text[:40]}',", word.start, word.end
        if not (math.isfinite(start) and math.isfinite(end)):
            problems.append(f"{named} has no time")
            continue
        if end < start:
            problems.append(f"{named} ends at {end:.2f} s before it starts at {start:.2f} s")
        if start < latest - TIME_TOLERANCE_SECONDS:
            problems.append(
                f"{named} starts at {start:.2f} s, before the word before it at {latest:.2f} s"
            )
        if _is_outside(start, end, duration_seconds):
            problems.append(
                f"{named} from {start:.2f} s to {end:.2f} s is not inside the video of "
                f"{duration_seconds:.2f} s"
            )
        latest = max(latest, start)
    return tuple(problems)


def speech_problems(transcript: Transcript, duration_seconds: float) -> tuple[str, ...]:
    """What is odd about the amount of speech, each as a sentence.

    No speech at all is a result. Very little in a long video, or words that come slower or faster
    than anybody speaks, point to a wrong language, engine or caption file.

    Args:
        transcript: What is said.
        duration_seconds: Length of the video.
    """
    if not transcript.words or duration_seconds <= 0:
        return ()
    spoken = spoken_seconds(spoken_stretches(transcript.words, duration_seconds=duration_seconds))
    problems = []
    if duration_seconds >= _LONG_ENOUGH_SECONDS and spoken < _LEAST_SHARE * duration_seconds:
        problems.append(
            f"there is speech in only {spoken:.0f} s of {clock(duration_seconds)}, "
            f"{spoken / duration_seconds:.1%} of the video"
        )
    if spoken >= 1.0:
        pace = len(transcript.words) / spoken * 60
        if not _LEAST_WORDS_PER_MINUTE <= pace <= _MOST_WORDS_PER_MINUTE:
            problems.append(
                f"{pace:.0f} words come in a minute of speech, where people say "
                f"{_LEAST_WORDS_PER_MINUTE:.0f} to {_MOST_WORDS_PER_MINUTE:.0f}"
            )
    return tuple(problems)


def place_problems(moments: Iterable[Moment], duration_seconds: float) -> tuple[str, ...]:
    """Moments that no clip can be cut of, each as a sentence: no length, or outside the video."""
    problems = []
    for moment in moments:
        start, end = moment.start_time, moment.end_time
        if not (math.isfinite(start) and math.isfinite(end) and start < end):
            problems.append(f"{_named(moment)} has no length")
        elif _is_outside(start, end, duration_seconds):
            problems.append(
                f"{_named(moment)} is not inside the video of {clock(duration_seconds)} "
                f"({duration_seconds:.2f} s)"
            )
    return tuple(problems)


def overlap_problems(moments: Iterable[Moment]) -> tuple[str, ...]:
    """Moments that begin before one that began earlier has ended, each as a sentence."""
    problems = []
    latest: Moment | None = None
    for moment in sorted(moments, key=lambda moment: (moment.start_time, moment.end_time)):
        if latest and moment.start_time < latest.end_time - TIME_TOLERANCE_SECONDS:
            problems.append(f"{_named(moment)} overlaps {_named(latest)}")
        latest = max(latest or moment, moment, key=lambda one: one.end_time)
    return tuple(problems)


def config_problems(moments: Moments, config: GenerationConfig) -> tuple[str, ...]:
    """In what the moments are not what their configuration asks for, each as a sentence.

    Fewer than asked for is no problem where `why_fewer` gives the reason.
    """
    problems = []
    shortest, longest = config.min_moment_length, config.max_moment_length
    for moment in moments.moments:
        length = moment.end_time - moment.start_time
        named = f"{_named(moment)} is {length:.2f} s long"
        if shortest is not None and length < shortest - TIME_TOLERANCE_SECONDS:
            problems.append(f"{named}, and at least {shortest:g} s are wanted")
        if longest is not None and length > longest + TIME_TOLERANCE_SECONDS:
            problems.append(f"{named}, and at most {longest:g} s are wanted")
    count, least, most = len(moments.moments), config.min_moments, config.max_moments
    if most is not None and count > most:
        problems.append(f"there are {count} moments, and at most {most} are wanted")
    if least is not None and count < least and not moments.why_fewer:
        problems.append(
            f"there are {count} moments, and at least {least} are wanted; nothing says why there "
            "are fewer"
        )
    return tuple(problems)


def refinement_problems(
    refined: Moments, roots: Moments, configs: SelectedConfigs
) -> tuple[str, ...]:
    """In what refined moments are not their roots with better boundaries, each as a sentence.

    Each root has one refined moment, no boundary further from the root's than `max_shift_seconds`.

    Args:
        refined: The refined moments.
        roots: The moments that they refine.
        configs: What both were made with.
    """
    by_identifier = {root.identifier: root for root in roots.moments}
    children = Counter(moment.parent_identifier for moment in refined.moments)
    problems = [
        f"{_named(root)} has {children[root.identifier]} refined moments, not one"
        for root in roots.moments
        if children[root.identifier] != 1
    ]
    furthest = configs.max_shift_seconds + TIME_TOLERANCE_SECONDS
    for moment in refined.moments:
        parent = by_identifier.get(moment.parent_identifier or "")
        if parent is None:
            problems.append(f"{_named(moment)} refines no moment that there is")
            continue
        shift = largest_shift(moment, parent)
        if not shift <= furthest:
            problems.append(
                f"{_named(moment)} is {shift:.2f} s away from the moment that it refines, and "
                f"{configs.max_shift_seconds:g} s are allowed"
            )
    return tuple(problems)


def largest_shift(refined: Moment, root: Moment) -> float:
    """How far the boundary that was moved most was moved, seconds."""
    return max(_shifts(refined, root))


def _shifts(refined: Moment, root: Moment) -> tuple[float, float]:
    return abs(refined.start_time - root.start_time), abs(refined.end_time - root.end_time)


def boundary_shifts(refined: Moments, roots: Moments) -> tuple[float, ...]:
    """How far each boundary of each refined moment was moved, seconds; 0 where it was not."""
    before = {root.identifier: root for root in roots.moments}
    pairs = ((one, before.get(one.parent_identifier or "")) for one in refined.moments)
    return tuple(shift for one, root in pairs if root is not None for shift in _shifts(one, root))


def moments_without_clip(moments: Moments, clips: Sequence[Clip | ClipFile]) -> tuple[Moment, ...]:
    """Moments that no clip shows, in order of time."""
    shown = {clip.moment_identifier for clip in clips}
    return tuple(moment for moment in moments.moments if moment.identifier not in shown)


def size_problems(url: str, found_bytes: int, *, expected_kibibytes: int | None) -> tuple[str, ...]:
    """Whether a file is as large as its row says, as a sentence where it is not.

    Args:
        url: Address of the file.
        found_bytes: Its size.
        expected_kibibytes: What the row says, rounded up; None where it says nothing.
    """
    if expected_kibibytes is None or kibibytes(found_bytes) == expected_kibibytes:
        return ()
    return (f"{url} has {found_bytes} bytes, and its row says {expected_kibibytes} KiB",)


def clip_problems(clip: Clip, found: MediaFacts, *, source: Video) -> tuple[str, ...]:
    """In what a clip's file is not what its row says, each as a sentence.

    Its length may differ by a frame of picture or sound. Streams that the source has must be there.

    Args:
        clip: The row.
        found: What probing found in its file.
        source: The video that it was cut from.
    """
    problems = []
    named = f"the clip of the moment {clip.moment_identifier}"
    wanted = clip.end_time - clip.start_time
    if not abs(found.duration_seconds - wanted) <= _frame_seconds(found, source):
        problems.append(
            f"{named} is {found.duration_seconds:.2f} s long, and its row says {wanted:.2f} s"
        )
    for kind, in_clip, in_row, in_source in (
        ("picture", found.video, clip.video_codec, source.facts.video),
        ("sound", found.audio, clip.audio_codec, source.facts.audio),
    ):
        if in_clip is None and (in_row is not None or in_source is not None):
            problems.append(f"{named} has no {kind}")
        elif in_clip is not None and in_row is not None and in_clip.codec != in_row:
            problems.append(f"the {kind} of {named} is {in_clip.codec}, and its row says {in_row}")
    return tuple(problems)


def picture_problem(named: str, exposure: float) -> str:
    """A sentence about a picture that shows nothing; empty for one that shows something.

    Args:
        named: What the picture is, such as "the thumbnail of the video".
        exposure: Its `stills.exposure_of`.
    """
    return "" if exposure >= PRESENTABLE_EXPOSURE else f"{named} is black, white or blank"


def require_word_times(transcript: Transcript, video: Video) -> None:
    """Refuse a transcript by whose words nothing can be cut, whether or not a check saw it.

    Raises:
        ResultUnsound: If words go backwards or lie outside the video.
    """
    _require("transcript", word_time_problems(transcript, video.facts.duration_seconds))


def require_places(moments: Moments, video: Video, *, asset: str = "moments") -> None:
    """Refuse moments of which nothing can be cut.

    Args:
        moments: The moments.
        video: The video that they are of.
        asset: The asset that made them.

    Raises:
        ResultUnsound: If one has no length or is not inside the video.
    """
    _require(asset, place_problems(moments.moments, video.facts.duration_seconds))


def _require(asset: str, problems: Sequence[str]) -> None:
    if problems:
        more = f", and {len(problems) - 1} more problems" if len(problems) > 1 else ""
        raise ResultUnsound(
            f"the stored result of the asset '{asset}' is not sound: {problems[0]}{more}",
            remedy=f"Materialise '{asset}' for this partition again, with `force` if it says that "
            "nothing changed",
        )


def _is_outside(start: float, end: float, duration_seconds: float) -> bool:
    tolerance = TIME_TOLERANCE_SECONDS
    return start < -tolerance or end > duration_seconds + tolerance


def _named(moment: Moment) -> str:
    return (
        f"the moment {moment.identifier} from {moment.start_time:.2f} s to {moment.end_time:.2f} s"
    )


def _frame_seconds(found: MediaFacts, source: Video) -> float:
    if found.video is None:
        return _SOUND_FRAME_SECONDS
    rate = found.video.frame_rate or (source.facts.video.frame_rate if source.facts.video else None)
    return max(_SOUND_FRAME_SECONDS, 1.0 / max(rate or 0.0, _SLOWEST_PRESENTED_RATE) + 0.001)
