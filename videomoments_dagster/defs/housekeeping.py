"""Housekeeping: what is removed for its age, by a job of its own.

Belongs here: the job, its schedule, and what it tells. Does not belong here: how anything is
removed.
"""

import dagster as dg

from videomoments_dagster.defs.reporting import RETRY_OUTSIDE, failures_reported
from videomoments_dagster.resources.language_models import LanguageModelsResource


@dg.op(
    retry_policy=RETRY_OUTSIDE,
    description="Removes records of model calls, and answers kept for resuming, that are older "
    "than VIDEOMOMENTS_MODEL_LOG_DAYS.",
)
def remove_old_model_calls(
    context: dg.OpExecutionContext, language_models: LanguageModelsResource
) -> None:
    """Remove what is older than the configured age."""
    with failures_reported(video="", step="remove_old_model_calls"):
        removed = language_models.remove_old_records()
        forgotten = language_models.forget_old_answers()
    context.log.info("Removed %d records of model calls and %d kept answers", removed, forgotten)


@dg.job(
    name="housekeeping",
    description="Removes what has passed its age: records of model calls, and kept answers.",
    executor_def=dg.in_process_executor,
)
def _housekeeping() -> None:
    remove_old_model_calls()


HOUSEKEEPING = _housekeeping

SCHEDULES = [
    dg.ScheduleDefinition(
        name="nightly_housekeeping",
        job=HOUSEKEEPING,
        cron_schedule="30 4 * * *",
        execution_timezone="UTC",
        description="Runs `housekeeping` every night. Off until it is switched on.",
    )
]
