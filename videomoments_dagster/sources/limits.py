"""Bounds on fetching a source.

Belongs here: time, size and retry limits, and from which networks. Does not belong here: what
happens when a bound is reached.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from videomoments_dagster.sources.network_addresses import Network

Progress = Callable[[int, int | None], None]
"""Called with the bytes received so far and the total where it is known."""


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Bounds on fetching one source.

    Attributes:
        connect_seconds: To establish a connection.
        read_seconds: Between two bytes of an answer.
        total_seconds: For the whole fetch, with all retries.
        attempts: Failures in a row, without at least 1 MiB between them, before giving up.
        first_wait_seconds: Wait before the first retry; doubles from there, up to 30 s.
        max_bytes: Largest download. Local files are not copied and have no limit.
        allowed_networks: Networks that may be fetched from although they are not public. What
            this covers for pages is said in `page`; Google's client connects by itself, and to
            Google only.
    """

    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    total_seconds: float = 6 * 3600.0
    attempts: int = 5
    first_wait_seconds: float = 1.0
    max_bytes: int = 100 * 1024**3
    allowed_networks: tuple[Network, ...] = ()
