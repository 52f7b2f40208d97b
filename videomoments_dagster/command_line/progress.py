"""What a run looks like in the terminal while it happens."""

from __future__ import annotations

import sys

import click

from videomoments_dagster.history.run_facts import HistoryRow


class RunReporter:
    """Prints a line when a step begins, what it says meanwhile, and how it ended.

    To standard error, so that standard output stays free for results.
    """

    def step_started(self, step: str) -> None:
        """Print the step's name."""
        self._say(f"{step} ...")

    def step_said(self, step: str, message: str) -> None:
        """Print a sentence below the step's name."""
        del step
        self._say(f"    {message}")

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

    def _say(self, text: str) -> None:
        printable = "".join(
            character if character.isprintable() else "?" for character in text.replace("\n", " ")
        )
        click.echo(printable, err=True)
        sys.stderr.flush()
