"""Waiting for a server that may never answer: said after a while, and given up in time.

A time limit for each read does not do it: a server that drips byte by byte never reaches it, and
looking a name up has none. So requests are made in a thread of their own, which is left behind
where nothing comes of it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

from videomoments_dagster.base.progress import spoken_time

T = TypeVar("T")
Alive = Callable[[], None]
"""Called by work whenever the server has sent or taken something."""

NOTICE_SECONDS = 15.0
REPEAT_SECONDS = 60.0
LAST_TRY_SECONDS = 5.0
"""What an attempt gets when the time of all attempts is over: the server may be back."""

_listeners: list[Callable[[str], None]] = []


class NoAnswer(Exception):
    """A server gave no usable answer for as long as it was waited for."""


@contextmanager
def waiting_told(said: Callable[[str], None]) -> Iterator[None]:
    """Say here, until the end of the block, that a server does not answer; else in Python's log."""
    _listeners.append(said)
    try:
        yield
    finally:
        _listeners.remove(said)


def _tell(sentence: str) -> None:
    (_listeners[-1] if _listeners else logging.getLogger("videomoments").warning)(sentence)


class Notices:
    """Says that a server is silent: after 15 seconds, and then every minute."""

    def __init__(self, server: str, *, limit_seconds: float) -> None:
        """Nothing is said yet.

        Args:
            server: What is waited for, as messages name it.
            limit_seconds: For which it is waited for.
        """
        self._server = server
        self._limit_seconds = limit_seconds
        self._told_at = 0.0

    def tell(self, heard_at: float) -> float:
        """Say it where it is time to.

        Args:
            heard_at: Monotonic time at which the server was heard last.

        Returns:
            Monotonic time at which it would be said next.
        """
        now = time.monotonic()
        if now >= self._due(heard_at):
            self._told_at = now
            _tell(
                f"{self._server} has given no usable answer for {now - heard_at:.0f} seconds. It "
                f"is waited for up to {spoken_time(self._limit_seconds)}."
            )
        return self._due(heard_at)

    def _due(self, heard_at: float) -> float:
        if heard_at > self._told_at:
            return heard_at + NOTICE_SECONDS
        return self._told_at + REPEAT_SECONDS


class Patience:
    """How long a server is waited for, over all attempts.

    An attempt that fails because nothing came takes from the time of the next one. An answer, or
    as long a time without any attempt, gives all of it back.
    """

    def __init__(self, server: str, *, seconds: float) -> None:
        """Begin with all of the time.

        Args:
            server: What is waited for, as messages name it.
            seconds: For which it is waited for, over all attempts.
        """
        self._server = server
        self._seconds = seconds
        self._silent_since: float | None = None
        self._failed_at = 0.0

    def left(self) -> float:
        """Seconds that the next attempt may go without an answer."""
        since, now = self._silent_since, time.monotonic()
        if since is None or now - self._failed_at >= self._seconds:
            return self._seconds
        return max(self._seconds - (now - since), min(LAST_TRY_SECONDS, self._seconds))

    def call(
        self,
        work: Callable[[Alive], T],
        *,
        is_answer: Callable[[Exception], bool],
        slack_seconds: float = 0.0,
    ) -> T:
        """Do some work in a thread, as long as the server is not silent for too long.

        Args:
            work: Asks the server; what it raises is raised here.
            is_answer: Whether an exception of it means that the server answered.
            slack_seconds: For which it may be silent beyond that, because it is being sent much.

        Raises:
            NoAnswer: It was silent for too long. The work may go on in its thread.
        """
        begun = time.monotonic()
        heard = [begun]
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(work(lambda: heard.__setitem__(0, time.monotonic())))
            except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
                done.set_exception(error)

        limit = self.left()
        threading.Thread(target=run, name="patience", daemon=True).start()
        self._watch(done, heard, limit, slack_seconds)
        error = done.exception() if done.done() else NoAnswer()
        late = isinstance(error, NoAnswer)
        if error is None or (not late and isinstance(error, Exception) and is_answer(error)):
            self._silent_since = None
        else:
            self._failed_at = time.monotonic()
            if self._silent_since is None or heard[0] > begun:
                self._silent_since = heard[0]
        if late:
            silent = self._failed_at - (self._silent_since or begun)
            raise NoAnswer(f"no answer for {spoken_time(silent)}")
        if error is not None:
            raise error
        return done.result()

    def _watch(self, done: Future[T], heard: list[float], limit: float, slack: float) -> None:
        """Wait until the work is done, or nothing was heard for the limit and the slack."""
        notices = Notices(self._server, limit_seconds=limit + slack)
        while not done.done():
            if time.monotonic() - heard[0] >= limit + slack:
                return
            due = notices.tell(heard[0])
            wait([done], timeout=min(0.5, max(0.01, due - time.monotonic())))


@cache
def patience_with(server: str, seconds: float) -> Patience:
    """The patience that all attempts of this process share."""
    return Patience(server, seconds=seconds)
