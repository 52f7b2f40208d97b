"""The one place where a `VideoMomentsError` becomes `dagster.Failure`.

The UI then shows a sentence, and only what trying again can mend is retried.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from videomoments_dagster.base.failures import VideoMomentsError
from videomoments_dagster.core.partition import Partition

RETRY_OUTSIDE = dg.RetryPolicy(
    max_retries=2, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)
"""For steps that call the outside. Failures that trying again can't mend are not retried."""


@contextmanager
def failures_reported(partition: Partition | None, *, step: str) -> Iterator[None]:
    """Raise `dagster.Failure` for typed failures, with the partition and the step in the sentence.

    Args:
        partition: What the step works on; None where it works on all partitions.
        step: Name of the asset, check or op.

    Raises:
        dagster.Failure: For any `VideoMomentsError`; `allow_retries` says whether Dagster's retry
            policy applies.
    """
    subject = partition.subject if partition is not None else None
    try:
        yield
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
        # Dagster takes an interrupt for a failure that the retry policy covers, and would begin
        # the step again in a run that somebody cancelled.
        interrupted = VideoMomentsError("The run was interrupted", subject=subject, step=step)
        raise dg.Failure(description=str(interrupted), allow_retries=False) from None
    except VideoMomentsError as error:
        metadata = {"reason": error.reason} | ({"remedy": error.remedy} if error.remedy else {})
        raise dg.Failure(
            description=str(error.located(subject=subject, step=step)),
            metadata=metadata,
            allow_retries=error.retryable,
        ) from None
