"""What a run looks like in the terminal while it happens."""

from __future__ import annotations

import os
import shutil
import sys

import click

from videomoments_dagster.base.progress import is_progress
from videomoments_dagster.moments.history.history_row import HistoryRow

_INDENT = "    "
_LINE_ABOVE_ERASED = "\x1b[1A\x1b[2K"


class RunReporter:
    """Prints a line when a step begins, what it says meanwhile, and how it ended.

    To standard error, so that standard output stays free for results. In a terminal, how far a
    step is takes the place of how far it was; elsewhere every sentence is a line.
    """

    def __init__(self, *, in_place: bool | None = None) -> None:
        """Prepare to print.

        Args:
            in_place: Whether progress is replaced; None asks the terminal.
        """
        if in_place is None:
            in_place = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._in_place = in_place
        self._progress_is_last = False

    def step_started(self, step: str) -> None:
        """Print the step's name."""
        self._say(f"{step} ...")

    def step_said(self, step: str, message: str) -> None:
        """Print a sentence below the step's name."""
        del step
        if not (self._in_place and is_progress(message)):
            self._say(f"{_INDENT}{message}")
            return
        # A line that wraps would be erased in part.
        shown = f"{_INDENT}{message}"[: shutil.get_terminal_size().columns - 1]
        self._say(shown, instead=self._progress_is_last)
        self._progress_is_last = True

    def step_finished(self, step: str, *, seconds: float, unchanged: bool) -> None:
        """Print that the step is done, or that there was nothing to do."""
        outcome = "unchanged" if unchanged else "done"
        self._say(f"{step} {outcome} in {seconds:.1f} s")

    def step_failed(self, step: str, message: str) -> None:
        """Print why the step failed."""
        self._say(f"{step} FAILED: {message}")

    def run_finished(self, row: HistoryRow, *, video: str) -> None:
        """Print the run's outcome in one sentence."""
        took = "" if row.duration_seconds is None else f" after {row.duration_seconds:.1f} s"
        counts = [
            f"{count} {name}"
            for count, name in (
                (row.total_moments_generated, "moments"),
                (row.total_clips_created, "clips"),
            )
            if count is not None
        ]
        what = f": {', '.join(counts)}" if counts and row.status != "failed" else ""
        self._say(f"{row.pipeline_type} of '{video}' {row.status}{took}{what}.")
        # A failed step has said why already.
        if row.error_message and (row.error_stage is None or row.status == "partial"):
            self._say(row.error_message)

    def _say(self, text: str, *, instead: bool = False) -> None:
        """Print a line, `instead` of the last one."""
        printable = "".join(
            character if character.isprintable() else "?" for character in text.replace("\n", " ")
        )
        # Told of a terminal only; elsewhere click would take the marks out.
        click.echo(f"{_LINE_ABOVE_ERASED if instead else ''}{printable}", err=True, color=True)
        self._progress_is_last = False
        sys.stderr.flush()
