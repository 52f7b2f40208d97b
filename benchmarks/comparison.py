"""The table of `make bench`: what was measured, against what, and whether that is enough.

Belongs here: timing two ways of doing the same in turn, and the rows. Does not belong here: what is
timed.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from rich.table import Table

RUNS = 3


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    Attributes:
        what: What was measured.
        ours: Its figure.
        against: The rival, or what was promised.
        rival: The rival's figure, in the same unit.
        reach: The ratio of the two that was promised.
        unit: Of both figures.
        at_least: Whether the ratio is rival to ours and must not be smaller, instead of ours to
            rival and not larger.
    """

    what: str
    ours: float
    against: str
    rival: float
    reach: float
    unit: str = "s"
    at_least: bool = False

    @property
    def ratio(self) -> float:
        """How many times the rival's figure ours is, or the other way round."""
        return self.rival / self.ours if self.at_least else self.ours / self.rival

    @property
    def reached(self) -> bool:
        """Whether that is what was promised."""
        return self.ratio >= self.reach if self.at_least else self.ratio <= self.reach


class Rows:
    """All lines so far."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def add(self, row: Row) -> None:
        """Take a line, and say it."""
        self.rows.append(row)
        print(_text(row), flush=True)

    def table(self) -> Table:
        """The lines as a table."""
        table = Table("what", "ours", "against", "its", "ratio", "promised", "")
        for row in self.rows:
            bound = f"at least {row.reach:g}" if row.at_least else f"at most {row.reach:g}"
            table.add_row(
                row.what,
                f"{row.ours:.3g} {row.unit}",
                row.against,
                f"{row.rival:.3g} {row.unit}",
                f"{row.ratio:.2f}",
                bound,
                "" if row.reached else "MISSED",
            )
        return table


def _text(row: Row) -> str:
    missed = "" if row.reached else f"  MISSED ({row.reach:g})"
    return (
        f"{row.what}: {row.ours:.3g} {row.unit}, {row.against}: {row.rival:.3g} {row.unit}, "
        f"ratio {row.ratio:.2f}{missed}"
    )


def seconds_of(work: Callable[[], object]) -> float:
    """Wall-clock time of one go, seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def medians(
    ours: Callable[[], object], rival: Callable[[], object], *, runs: int = RUNS
) -> tuple[float, float]:
    """Median wall-clock times of two ways, taken in turn so that both meet the same machine."""
    times = [(seconds_of(ours), seconds_of(rival)) for _ in range(runs)]
    return statistics.median(one for one, _ in times), statistics.median(two for _, two in times)
