"""Progress of long work as sentences in the run's log."""

from __future__ import annotations

import dagster as dg

from videomoments_dagster.base.progress import Progress


def progress_logged(context: dg.AssetExecutionContext | dg.OutputContext, what: str) -> Progress:
    """Progress that is told in the log of a run; see `Progress` for `what`."""
    return Progress(lambda sentence: context.log.info("%s", sentence), what)
