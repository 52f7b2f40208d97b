"""How far long work is, in sentences, and when it is worth one.

What takes less than 2 seconds is passed over in silence. From then on there is a sentence for
each tenth of the work, but not two within 2 seconds; and when nothing was said for half a minute
(of what takes longer than half an hour, a sixtieth of the time so far) there is one in any case,
so that ten hours come to some two hundred sentences and a step that waits is seen to live.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")

SILENT_SECONDS = 2.0
LONGEST_SILENCE_SECONDS = 30.0

_SILENCE_SHARE = 1 / 60
_TENTHS = 10
_LEAST_EVIDENCE_SHARE = 0.02
_LEAST_EVIDENCE_SECONDS = 2.0
_LOOK_SECONDS = 1.0
_SECONDS_PER_MINUTE = 60
_SECONDS_PER_HOUR = 3600
_UNITS = ("bytes", "KB", "MB", "GB", "TB")

_SENTENCE = re.compile(
    r"\d+% |\d+ of \d+ [^.]*\bare\b|\d[\d.]*( of \d[\d.]*)? (bytes|KB|MB|GB|TB) |It goes on, after "
)


class Progress:
    """Tells of one piece of work; a context manager, since it also speaks while nothing moves.

    Reports may come from any thread. The share that is told never falls.
    """

    def __init__(
        self,
        said: Callable[[str], None],
        what: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to tell.

        Args:
            said: Takes sentences.
            what: Ends them: "of the sound is transcribed" after a percentage, "clips are cut"
                after "3 of 12", "of the source are read" after a size.
            clock: Gives seconds.
        """
        self._said = said
        self._what = what
        self._clock = clock
        self._lock = threading.Lock()
        self._begun = clock()
        # So the silence at the beginning is like any other.
        self._last_said = self._begun
        self._origin: tuple[float, float] | None = None
        self._share: float | None = None
        self._told = ""
        self._beside = ""
        self._tenth = 0
        self._has_news = False
        self._ended = threading.Event()
        self._life: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._life = threading.Thread(target=self._live, name="progress", daemon=True)
        self._life.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._life is not None:
            self._life.join()

    def share(self, share: float) -> None:
        """Take note that a share of the work is done, 0 to 1."""
        if not math.isnan(share):
            self._note(share, lambda known: f"{math.floor(known * 100)}% {self._what}")

    def count(self, done: int, total: int) -> None:
        """Take note that `done` of `total` things are done."""
        if total > 0:
            self._note(done / total, lambda _: f"{done} of {total} {self._what}")

    def counted(self, things: Iterable[T], *, total: int) -> Iterator[T]:
        """Hand things on, taking note of each of `total`."""
        self.count(0, total)
        for done, thing in enumerate(things, start=1):
            self.count(done, total)
            yield thing

    def of_bytes(self, done: int, total: int | None) -> None:
        """Take note of `done` bytes, of `total` where that is known."""
        if total:
            self._note(done / total, lambda _: f"{_sizes(min(done, total), total)} {self._what}")
        else:
            self._note(None, lambda _: f"{_sizes(done)} {self._what}")

    def beside(self, what: str) -> None:
        """Take note of what goes on within a thing that is not done: "340 tokens so far"."""
        with self._lock:
            self._beside = what
            self._has_news = True
            self._speak_if_due(self._clock())

    def look(self) -> None:
        """Say that the work goes on, if nothing was said for too long."""
        with self._lock:
            now = self._clock()
            if not self._ended.is_set() and self._is_silent_for_long(now):
                self._speak(now)

    def _note(self, share: float | None, told: Callable[[float], str]) -> None:
        with self._lock:
            now = self._clock()
            if share is not None:
                share = max(min(max(share, 0.0), 1.0), self._share or 0.0)
                # What comes out of order from several threads is older news.
                if self._share is not None and share == self._share and self._told:
                    return self._speak_if_due(now)
                self._origin = self._origin or (now, share)
                self._share = share
            self._told = told(share or 0.0)
            self._has_news = True
            return self._speak_if_due(now)

    def _speak_if_due(self, now: float) -> None:
        is_new_tenth = int((self._share or 0.0) * _TENTHS) > self._tenth
        is_due = is_new_tenth and now - self._last_said >= SILENT_SECONDS
        if is_due or self._is_silent_for_long(now):
            self._speak(now)

    def _is_silent_for_long(self, now: float) -> bool:
        longest = max(LONGEST_SILENCE_SECONDS, (now - self._begun) * _SILENCE_SHARE)
        return now - self._last_said >= longest

    def _speak(self, now: float) -> None:
        after = f"after {spoken_time(now - self._begun)}"
        told = self._told + (f" ({self._beside})" if self._beside else "")
        if not self._told:
            sentence = f"It goes on, {after}."
        elif not self._has_news:
            sentence = f"{told}; it goes on, {after}."
        else:
            left = self._left(now)
            sentence = told + ("." if left is None else f", {spoken_left(left)} left.")
        self._last_said = now
        self._has_news = False
        self._tenth = int((self._share or 0.0) * _TENTHS)
        self._said(sentence)

    def _left(self, now: float) -> float | None:
        """Seconds that are left at the pace so far; None before there is evidence, and at the end.

        The pace counts from the first report: what went before it was another kind of work.
        """
        if self._share is None or self._origin is None or self._share >= 1:
            return None
        since, at = self._origin
        elapsed, gained = now - since, self._share - at
        if elapsed < _LEAST_EVIDENCE_SECONDS or gained < _LEAST_EVIDENCE_SHARE:
            return None
        return elapsed * (1 - self._share) / gained

    def _live(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            try:
                self.look()
            except Exception:  # noqa: BLE001 - the work itself finds out what is wrong
                return


def is_progress(sentence: str) -> bool:
    """Whether a sentence is one of these, which the next one makes old."""
    return _SENTENCE.match(sentence) is not None


def spoken_left(seconds: float) -> str:
    """Write a length of time as an estimate is worth saying."""
    if seconds < 10:  # noqa: PLR2004 - below, one cannot read it before it is wrong
        return "a few seconds"
    return f"about {spoken_time(seconds)}"


def spoken_time(seconds: float) -> str:
    """Write a length of time in one or two units, rounded: "40 seconds", "1 hour 20 minutes"."""
    if seconds < _SECONDS_PER_MINUTE - 5:
        rounded = max(1, round(seconds)) if seconds < 10 else round(seconds / 10) * 10  # noqa: PLR2004
        return _counted(rounded, "second")
    minutes = round(seconds / _SECONDS_PER_MINUTE)
    if minutes > 20:  # noqa: PLR2004 - from here on, nobody counts single ones
        minutes = round(minutes / 5) * 5
    if minutes < _SECONDS_PER_MINUTE:
        return _counted(minutes, "minute")
    hours, rest = divmod(round(minutes / 10) * 10, 60)
    return _counted(hours, "hour") + (f" {rest} minutes" if rest else "")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _sizes(done: int, total: int | None = None) -> str:
    """Sizes in the unit of the larger one: "1.2 of 4.0 GB", "1.2 GB", "12 of 40 bytes"."""
    unit = min(int(math.log(max(total or done, 1), 1000) + 1e-9), len(_UNITS) - 1)
    sizes = [size / 1000**unit for size in (done, total) if size is not None]
    return " of ".join(f"{size:.1f}" if unit else f"{size:.0f}" for size in sizes) + (
        f" {_UNITS[unit]}"
    )
