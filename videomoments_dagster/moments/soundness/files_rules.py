"""What must hold of stored files and the rows that describe them.

Belongs here: comparing what probing or decoding found with a row. Does not belong here: probing or
decoding (`videomoments_dagster.media`).
"""

from __future__ import annotations

from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.media.frame_quality import PRESENTABLE_EXPOSURE
from videomoments_dagster.moments.records import Clip, Video

_SLOWEST_PRESENTED_RATE = 10.0
_SOUND_FRAME_SECONDS = 0.06


def size_problems(url: str, *, found_bytes: int, expected_kibibytes: int | None) -> tuple[str, ...]:
    """Whether a file is as large as its row says, as a sentence where it is not.

    Args:
        url: Address of the file.
        found_bytes: Its size.
        expected_kibibytes: What the row says, rounded up; None where it says nothing.
    """
    if expected_kibibytes is None or -(-found_bytes // 1024) == expected_kibibytes:
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
        exposure: Its `frame_quality.exposure`.
    """
    if exposure >= PRESENTABLE_EXPOSURE:
        return ""
    return f"{named} is black, white or blank"


def _frame_seconds(found: MediaFacts, source: Video) -> float:
    if found.video is None:
        return _SOUND_FRAME_SECONDS
    rate = found.video.frame_rate or (source.facts.video.frame_rate if source.facts.video else None)
    return max(_SOUND_FRAME_SECONDS, 1.0 / max(rate or 0.0, _SLOWEST_PRESENTED_RATE) + 0.001)
