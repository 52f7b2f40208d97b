"""What captions say, once: cues without the names before them and without what they repeat.

Live and automatic captions show a text again and again: rows that roll up, a line that grows, a
sentence shown anew for each of its words. A file counts as such only by how often it does so, as
people do say things twice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from operator import attrgetter

from videomoments_dagster.speech.transcripts import Word, clean_text, joined, split_words
from videomoments_dagster.speech.transcripts import spread_words as spread

STAMP = r"(-)?(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,9}))?"
"""A time in a caption file; its groups are for `seconds_of`."""

_INLINE_STAMP = re.compile(rf"<{STAMP}>")
_GROUPS_OF_STAMP = 5
_times = attrgetter("start", "end")

# Programs leave a gap where somebody pauses.
_FOLLOWS_SECONDS = 1.0
_ROLLING_SHARE = 0.2
_KARAOKE_SHARE = 0.5
_SHORTEST_KARAOKE = 3
_LONGEST_WORD_SECONDS = 1.5
_FEWEST_GROWING = 2
# Captions never show more rows than four; twice that bounds the search.
_MOST_ROWS = 8

_LABEL = re.compile(r"([^\W_][^:\uff1a<>\n]{0,39})(?::(?=\s|$)|\uff1a)\s*")
_NAME = re.compile(r"[^\W_][\w'\u2019.\-]*")
_MOST_WORDS_OF_NAME = 4
_LONGEST_PARTICLE = 3
_FEWEST_RECURRING = 2
_MOST_CUES_LABELLED = 1 / 2
_MANY_CUES_LABELLED = 1 / 3
_SOME_CUES_LABELLED = 1 / 10


def seconds_of(groups: Sequence[str | None]) -> float:
    """Seconds of the groups of a `STAMP`; negative where it has a minus sign."""
    minus, hours, minutes, seconds, fraction = groups
    whole = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    exact = whole + float(f"0.{fraction}") if fraction else float(whole)
    return -exact if minus else exact


@dataclass(frozen=True, slots=True)
class CaptionCue:
    """One caption, tags and sound descriptions removed.

    Attributes:
        start: Seconds at which it appears; negative before the video begins.
        end: Seconds at which it disappears; not always after `start`.
        lines: The lines that say something, with the time stamps inside them.
    """

    start: float
    end: float
    lines: tuple[str, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The lines without their time stamps."""
        return tuple(map(without_stamps, self.lines))

    @property
    def text(self) -> str:
        """All that is said."""
        return joined(self.texts)

    @property
    def is_stamped(self) -> bool:
        """Whether there are time stamps inside its text."""
        return any("<" in line and _INLINE_STAMP.search(line) for line in self.lines)

    def words(self) -> tuple[Word, ...]:
        """The words with times: from stamps inside the text, and spread between them."""
        first, last = max(self.start, 0.0), max(self.end, self.start, 0.0)
        said = " ".join(self.lines)
        if not self.is_stamped:
            return spread(said, start=first, end=last)
        starts = [first, *(seconds_of(stamp.groups()) for stamp in _INLINE_STAMP.finditer(said))]
        # The groups of a stamp lie between two texts.
        parts = zip(starts, _INLINE_STAMP.split(said)[:: _GROUPS_OF_STAMP + 1], strict=True)
        groups = [(start, text) for start, text in parts if clean_text(text)]
        edges = [*(min(max(start, first), last) for start, _ in groups), last]
        return tuple(
            word
            for (_, text), (start, end) in zip(groups, pairwise(edges), strict=True)
            for word in spread(text, start=start, end=max(end, start))
        )


def without_stamps(line: str) -> str:
    """The text of a line, without the time stamps inside it."""
    return clean_text(_INLINE_STAMP.sub("", line)) if "<" in line else line


def said_once(cues: Iterable[CaptionCue]) -> tuple[CaptionCue, ...]:
    """Sort cues, leave out names of speakers, and keep what they say again only once."""
    ordered = sorted(dict.fromkeys(cues), key=_times)
    ordered = _without_names(ordered)
    ordered = _grown(ordered)
    if _are_rolling(ordered):
        ordered = list(_unrolled(ordered))
    # Cues with the same times are two speakers, or two lines given as two cues.
    together = (list(same) for _, same in groupby(ordered, key=_times))
    return tuple(
        same[0]
        if len(same) == 1
        else replace(same[0], lines=tuple(line for cue in same for line in cue.lines))
        for same in together
        if any(cue.lines for cue in same)
    )


def _without_names(cues: list[CaptionCue]) -> list[CaptionCue]:
    """Leave out `Ann:` before what Ann says."""
    found = [
        {label[1] for line in cue.lines if (label := _label_of(line)) is not None} for cue in cues
    ]
    names = _speakers(found, capitals=_in_capitals(cues))
    if not names:
        return cues

    def unlabelled(line: str) -> str:
        label = _label_of(line)
        return line[label.end() :] if label is not None and label[1] in names else line

    return [
        replace(cue, lines=tuple(filter(None, map(unlabelled, cue.lines)))) if labels else cue
        for cue, labels in zip(cues, found, strict=True)
    ]


def _label_of(line: str) -> re.Match[str] | None:
    """What may be a name and a colon at the beginning of a line."""
    if ":" not in line and "\uff1a" not in line:
        return None
    label = _LABEL.match(line)
    words = label[1].strip("() ").split() if label else []
    if not words or len(words) > _MOST_WORDS_OF_NAME:
        return None
    if len(words) > 1 and words[0][0].islower():
        return None
    for word in words:
        named = _NAME.fullmatch(word.strip("()"))
        if not named or (len(words) > 1 and word[0].islower() and len(word) > _LONGEST_PARTICLE):
            return None
    return label


def _speakers(found: Sequence[set[str]], *, capitals: bool) -> set[str]:
    """Those labels that are names, by how often they recur.

    Args:
        found: The labels of each cue.
        capitals: Whether everything is in capitals, so that they mean nothing.
    """
    counts = Counter(label for labels in found for label in labels)
    recurring = {label for label, count in counts.items() if count >= _FEWEST_RECURRING}
    share = sum(not recurring.isdisjoint(labels) for labels in found) / max(len(found), 1)
    if share >= _MOST_CUES_LABELLED:
        # Where everybody is named, so is who speaks only once.
        return recurring | {label for label in counts if not label[0].islower()}
    # A user's name, only where nearly every cue has one.
    recurring = {label for label in recurring if not label[0].islower()}
    share = sum(not recurring.isdisjoint(labels) for labels in found) / max(len(found), 1)
    several = len(recurring) > 1 and share >= _SOME_CUES_LABELLED
    if several or share >= _MANY_CUES_LABELLED:
        return recurring
    return {label for label in recurring if label.isupper() and not capitals}


def _in_capitals(cues: Sequence[CaptionCue]) -> bool:
    lines = [line for cue in cues for line in cue.lines]
    return sum(map(str.isupper, lines)) > len(lines) / 2


def _grown(cues: list[CaptionCue]) -> list[CaptionCue]:
    """Make one cue of those that show the same line, longer and longer, or word after word."""
    texts = [" ".join(cue.texts) for cue in cues]
    growing, repeating = 0, 0
    run = 1
    for at in range(1, len(cues) + 1):
        same = at < len(cues) and _is_held(cues, texts, at)
        if same:
            run += 1
            continue
        if run >= _SHORTEST_KARAOKE and _is_word_by_word(texts[at - 1], cues[at - run : at]):
            repeating += run - 1
        run = 1
        growing += _grows(cues, texts, at)
    karaoke = repeating >= max(_KARAOKE_SHARE * len(cues), 1)
    if not karaoke and growing < max(_FEWEST_GROWING, _ROLLING_SHARE * len(cues)):
        return cues
    groups: list[list[int]] = []
    for at in range(len(cues)):
        last = groups[-1] if groups else []
        goes_on = karaoke or len(last) > 1 or _grows(cues, texts, at + 1)
        if last and (_grows(cues, texts, at) or (goes_on and _is_held(cues, texts, at))):
            last.append(at)
        else:
            groups.append([at])
    return [_one_of(cues[group[0] : group[-1] + 1]) for group in groups]


def _is_word_by_word(text: str, cues: Sequence[CaptionCue]) -> bool:
    """Whether cues show a text as often as it has words, and for no longer than words last.

    People, and Whisper in a loop, repeat whole sentences as well.
    """
    words = len(split_words(text))
    seconds = (cues[-1].end - cues[0].start) / len(cues)
    # Pauses between words may be shown as well.
    as_often = words / 2 <= len(cues) <= 2 * words + 1
    return words >= _SHORTEST_KARAOKE and as_often and seconds <= _LONGEST_WORD_SECONDS


def _is_held(cues: Sequence[CaptionCue], texts: Sequence[str], at: int) -> bool:
    """Whether a cue shows just what the one before it showed."""
    gap = cues[at].start - cues[at - 1].end
    return texts[at] == texts[at - 1] != "" and gap <= _FOLLOWS_SECONDS


def _grows(cues: Sequence[CaptionCue], texts: Sequence[str], at: int) -> bool:
    """Whether a cue goes on with the last line of the one before it."""
    if at == len(cues):
        return False
    before, text = texts[at - 1], texts[at]
    if not (before and len(text) > len(before) and text.startswith(before)):
        return False
    if cues[at].start - cues[at - 1].end > _FOLLOWS_SECONDS:
        return False
    # What is new on a line of its own is a row that rolls up.
    length = -1
    ends = {length := length + 1 + len(row) for row in cues[at].texts}
    return len(before) not in ends


def _one_of(cues: Sequence[CaptionCue]) -> CaptionCue:
    """One cue with a time stamp where the text went on."""
    if len(cues) == 1:
        return cues[0]
    whole = replace(cues[-1], start=cues[0].start, end=max(cue.end for cue in cues))
    texts = [" ".join(cue.texts) for cue in cues]
    if texts[0] == texts[-1]:
        words = split_words(texts[0])
        # A cue a word.
        if len(words) != len(cues) or any(cue.is_stamped for cue in cues):
            return replace(cues[0], end=whole.end)
        at, stamps = 0, []
        for word, cue in zip(words, cues, strict=True):
            at = texts[0].index(word, at)
            stamps.append((at, cue.start))
            at += len(word)
    else:
        stamps = [
            (len(before), cue.start)
            for before, text, cue in zip(texts, texts[1:], cues[1:], strict=False)
            if len(text) > len(before) and _between_words(text, len(before))
        ]
    return replace(whole, lines=tuple(_stamped(whole.texts, stamps)))


def _between_words(text: str, at: int) -> bool:
    return (
        text[at - 1].isspace() or text[at].isspace() or len(split_words(text[at - 1 : at + 1])) > 1
    )


def _stamped(texts: Sequence[str], stamps: Sequence[tuple[int, float]]) -> Iterator[str]:
    """Put time stamps into lines, at offsets of the lines joined by single spaces."""
    begin, used = 0, 0
    for text in texts:
        parts, done = [], 0
        while used < len(stamps) and stamps[used][0] < begin + len(text):
            offset, seconds = stamps[used]
            at = max(offset - begin, 0)
            parts += [text[done:at], _stamp(seconds)]
            done = at
            used += 1
        yield "".join([*parts, text[done:]])
        begin += len(text) + 1


def _stamp(seconds: float) -> str:
    whole, milliseconds = divmod(max(round(seconds * 1000), 0), 1000)
    return f"<{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}.{milliseconds:03d}>"


def _are_rolling(cues: Sequence[CaptionCue]) -> bool:
    """Tell whether cues begin with rows that were shown last, and show more than these."""
    carried = sum(
        0 < _repeated_rows(before.texts, cue.texts) < len(cue.lines)
        for before, cue in pairwise(cues)
        if len(cue.lines) > 1
    )
    return carried > 0 and carried >= _ROLLING_SHARE * len(cues)


def _repeated_rows(shown: tuple[str, ...], texts: tuple[str, ...]) -> int:
    """With how many of the rows that were shown last a cue begins."""
    if shown == texts[: len(shown)]:
        return len(shown)
    longest = min(len(shown), len(texts), _MOST_ROWS)
    return next(
        count for count in range(longest, -1, -1) if texts[:count] == shown[len(shown) - count :]
    )


def _unrolled(cues: Sequence[CaptionCue]) -> Iterator[CaptionCue]:
    """Leave out of each cue the rows that the cue before it was showing already."""
    shown: tuple[str, ...] = ()
    shown_until = 0.0
    for cue in cues:
        texts = cue.texts
        follows = cue.start <= shown_until + _FOLLOWS_SECONDS
        repeated = _repeated_rows(shown, texts) if follows else 0
        if texts:
            shown, shown_until = texts, max(shown_until, cue.end)
        yield replace(cue, lines=cue.lines[repeated:])
