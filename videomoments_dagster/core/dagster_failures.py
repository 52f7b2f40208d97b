"""From typed failures to Dagster's, so that the UI shows a sentence and retries what can help.

Belongs here: the one place where `VideoMomentsError` becomes `dagster.Failure`. Does not belong
here: new kinds of failure (`videomoments_dagster.base.failures`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from db.errors import DatabaseProblem, SchemaOutdated
from videomoments_dagster.base.failures import (
    DatabaseOutdated,
    DatabaseRefused,
    DatabaseUnavailable,
    VideoMomentsError,
)

RETRY_OUTSIDE = dg.RetryPolicy(
    max_retries=2, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)
"""For steps that call the outside. Failures that trying again can't mend are not retried."""


def as_videomoments_error(problem: DatabaseProblem) -> VideoMomentsError:
    """The same problem as one of our failures; `db` has its own, since it stands alone."""
    if problem.retryable:
        return DatabaseUnavailable(problem.reason, remedy=problem.remedy)
    if isinstance(problem, SchemaOutdated):
        return DatabaseOutdated(problem.reason, remedy=problem.remedy)
    return DatabaseRefused(problem.reason, remedy=problem.remedy)


@contextmanager
def failures_reported(*, video: str, step: str) -> Iterator[None]:
    """Raise `dagster.Failure` for typed failures, with the video and the step in the sentence.

    Raises:
        dagster.Failure: For any `VideoMomentsError` or `DatabaseProblem`; `allow_retries` says
            whether Dagster's retry policy applies.
    """
    try:
        yield
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
        # Dagster takes an interrupt for a failure that the retry policy covers, and would begin
        # the step again in a run that somebody cancelled.
        raise dg.Failure(
            description=f"video '{video}', step {step}: The run was interrupted.",
            allow_retries=False,
        ) from None
    except DatabaseProblem as problem:
        raise _failure(as_videomoments_error(problem).located(video=video, step=step)) from None
    except VideoMomentsError as error:
        raise _failure(error.located(video=video, step=step)) from None


def _failure(error: VideoMomentsError) -> dg.Failure:
    metadata: dict[str, str] = {"reason": error.reason}
    if error.remedy:
        metadata["remedy"] = error.remedy
    return dg.Failure(description=str(error), metadata=metadata, allow_retries=error.retryable)
