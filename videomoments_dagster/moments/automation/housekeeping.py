"""Housekeeping: what is removed for its age, by a job of its own.

Belongs here: the job, and what it tells. Does not belong here: how anything is
removed.
"""

import dagster as dg

from videomoments_dagster.core.dagster_failures import RETRY_OUTSIDE, failures_reported
from videomoments_dagster.core.resources.garbage_resource import GarbageResource
from videomoments_dagster.core.resources.language_models_resource import LanguageModelsResource
from videomoments_dagster.moments.history.dagster_runs import run_in_flight


@dg.op(
    retry_policy=RETRY_OUTSIDE,
    description="Removes records of model calls, and answers kept for resuming, that are older "
    "than VIDEOMOMENTS_MODEL_LOG_DAYS.",
)
def remove_old_model_calls(
    context: dg.OpExecutionContext, language_models: LanguageModelsResource
) -> None:
    """Remove what is older than the configured age."""
    with failures_reported(None, step="remove_old_model_calls"):
        removed = language_models.remove_old_records()
        forgotten = language_models.forget_old_answers()
    context.log.info("Removed %d records of model calls and %d kept answers.", removed, forgotten)


@dg.op(
    retry_policy=RETRY_OUTSIDE,
    description="Removes objects that no row refers to, older than VIDEOMOMENTS_GC_GRACE_HOURS; "
    "nothing of a video that is being worked on.",
)
def collect_garbage(context: dg.OpExecutionContext, garbage: GarbageResource) -> None:
    """Remove what crashes left, and what moments left that are no more."""
    with failures_reported(None, step="collect_garbage"):
        found = garbage.found()
        removed = garbage.removed(
            found, in_flight=lambda video: run_in_flight(context.instance, video) is not None
        )
    context.log.info(
        "Looked at %d objects; removed %d of %d bytes together, and %d unfinished files; %d are too"
        " young to tell; spared while they run: %s.",
        found.looked_at,
        removed.objects,
        removed.size_bytes,
        removed.unfinished,
        found.too_young,
        ", ".join(removed.spared) or "none",
    )


@dg.job(
    name="housekeeping",
    description="""Removes what has passed its age, and what nothing refers to.

Reads rows and lists objects; removes records of model calls and kept answers that are older than
VIDEOMOMENTS_MODEL_LOG_DAYS, and objects that no row names. Writes nothing, and spares videos that
are being worked on. If it fails, the database or the object store is away; nothing is lost, and the
next run removes the rest.""",
    executor_def=dg.in_process_executor,
)
def _housekeeping() -> None:
    remove_old_model_calls()
    collect_garbage()


HOUSEKEEPING = _housekeeping
