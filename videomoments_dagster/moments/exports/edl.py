"""CMX 3600 edit decision lists, which every editor reads.

One event a moment, one after the other, from the record timecode 01:00:00:00 on. Source timecodes
count from the first frame that a player shows, whatever timecode track the file itself has.
"""

from __future__ import annotations

import hashlib

from videomoments_dagster.base.failures import ExportRefused
from videomoments_dagster.moments.exports.material import ExportedMoment, Material, required_moments
from videomoments_dagster.moments.exports.timecode import (
    FrameRate,
    TimecodeOutOfRange,
    frame_rate_of,
    frames_at,
    frames_of,
    timecode,
)

RECORD_STARTS_AT = "01:00:00"
MOST_EVENTS = 999
REEL_CHARACTERS = 8

_HIGHEST_NOMINAL = 60
_LOCATOR_COLUMN = 7
# Reels that editors give a meaning: material without a tape, and black.
_RESERVED = {"AX", "BL"}


def edl(material: Material) -> str:
    """Write the moments as an edit decision list.

    Raises:
        ResultMissing: There are no moments yet.
        ExportRefused: There are more moments, or later ones, than the format can name.
    """
    moments = required_moments(material)
    if len(moments) > MOST_EVENTS:
        raise ExportRefused(
            f"a CMX 3600 list holds {MOST_EVENTS} events, and '{material.identifier}' has "
            f"{len(moments)} moments",
            remedy="Use the format otio",
        )
    rate = countable(frame_rate_of(material.frame_rate))
    fcm = "DROP FRAME" if rate.drops_frames else "NON-DROP FRAME"
    lines = [f"TITLE: {material.title[:70]}", f"FCM: {fcm}"]
    record = frames_of(f"{RECORD_STARTS_AT}:00", rate)
    source = f"{reel(material.identifier):<8} {_channel(material):<5} "
    try:
        for number, moment in enumerate(moments, start=1):
            start, end = span_in_frames(moment, rate)
            after = record + end - start
            times = " ".join(timecode(frame, rate) for frame in (start, end, record, after))
            lines += [
                "",
                f"{number:03d}  {source}C        {times}",
                f"* FROM CLIP NAME: {material.media_name}",
                f"* COMMENT: {moment.title}",
                f"* LOC: {timecode(record, rate)} {'GREEN':<{_LOCATOR_COLUMN}} {moment.label}",
            ]
            record = after
    except TimecodeOutOfRange as error:
        raise ExportRefused(
            f"timecodes of a CMX 3600 list end after 24 hours, and those of "
            f"'{material.identifier}' do not",
            remedy="Use the format otio",
        ) from error
    return "\n".join(lines) + "\n"


def countable(rate: FrameRate) -> FrameRate:
    """The rate, or half of it and so on, until two digits and editors can count it."""
    while rate.nominal > _HIGHEST_NOMINAL and rate.nominal % 2 == 0:
        rate = FrameRate(rate.nominal // 2, is_ntsc=rate.is_ntsc)
    return rate


def span_in_frames(moment: ExportedMoment, rate: FrameRate) -> tuple[int, int]:
    """First frame of a moment and the frame after its last; at least one frame."""
    start = frames_at(moment.start, rate)
    return start, max(frames_at(moment.end, rate), start + 1)


def reel(identifier: str) -> str:
    """At most 8 capitals and digits; two videos do not share one that was shortened."""
    plain = "".join(character for character in identifier.upper() if character.isalnum())
    if plain == identifier.upper() and len(plain) <= REEL_CHARACTERS and plain not in _RESERVED:
        return plain
    mark = hashlib.sha256(identifier.encode()).hexdigest()[:4].upper()
    return plain[: REEL_CHARACTERS - len(mark)] + mark


def _channel(material: Material) -> str:
    if not material.has_sound:
        return "V"
    return "AA/V" if material.has_picture else "AA"
