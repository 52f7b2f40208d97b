"""Nothing changed means nothing done: the frame that every asset computes in.

Belongs here: the decision whether a stored result still stands, and how either outcome is told
to Dagster. Does not belong here: how anything is computed or stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import dagster as dg
from pydantic import Field

from videomoments_dagster.base.fingerprints import fingerprint
from videomoments_dagster.base.identifiers import checked_identifier
from videomoments_dagster.core.resources.stored_results_resource import StoredResultsResource
from videomoments_dagster.core.storage import Computed, Unchanged

T = TypeVar("T")

GROUP = "moments"
OWNERS = ["team:videomoments"]


class MaterialisationConfig(dg.Config):
    """Run config that every asset takes."""

    force: bool = Field(
        default=False, description="Compute again even where nothing has changed since last time."
    )


@dataclass(frozen=True, slots=True)
class Computation(Generic[T]):
    """What an asset computed.

    Attributes:
        value: The value for the IO manager.
        data_version: Content hash of the value.
        details: Small JSON facts; kept, and shown again while nothing changes.
        metadata: Larger things for the UI; shown with this materialisation only.
        complete: False for a partial result, which the next materialisation goes on with.
        checks: Results of asset checks that come with the materialisation.
    """

    value: T
    data_version: str
    details: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    complete: bool = True
    checks: tuple[dg.AssetCheckResult, ...] = ()


def materialise(
    context: dg.AssetExecutionContext,
    results: StoredResultsResource,
    *,
    code_version: str,
    inputs: Mapping[str, Any],
    settings: Mapping[str, Any],
    force: bool,
    compute: Callable[[], Computation[Any]],
    told: Callable[[Any, Mapping[str, Any]], Mapping[str, Any]] = lambda _value, _details: {},
    checks_when_unchanged: Callable[
        [Any, Mapping[str, Any]], tuple[dg.AssetCheckResult, ...]
    ] = lambda _value, _details: (),
) -> dg.MaterializeResult[Any]:
    """Return the stored result where it still stands, else compute.

    A result stands while its code version, inputs and settings are those it was made with, and
    its rows and objects are those that were stored. Dagster's own record of an asset says
    nothing about rows that somebody deleted, so the rows themselves are asked.

    Args:
        context: Of the executing asset; its partition key is the video.
        results: Where stored results are found.
        code_version: The asset's code version.
        inputs: Data versions of what the result is made from, by name.
        settings: Settings that the result depends on, by name.
        force: Compute in any case.
        compute: Makes the new result.
        told: From what is stored and its details to the metadata that tells about it, each time:
            no object is read for it.
        checks_when_unchanged: From what is stored and its details to check results, where nothing
            is computed.
    """
    asset = context.asset_key.path[-1]
    video = checked_identifier(context.partition_key)
    made_from = fingerprint(code_version=code_version, inputs=inputs, settings=settings)
    if not force:
        stored = results.intact(asset=asset, video=video)
        if stored is not None and stored.fingerprint == made_from:
            context.log.info("Nothing changed since the last materialisation; it is kept.")
            return dg.MaterializeResult(
                value=Unchanged(),
                data_version=dg.DataVersion(stored.data_version),
                metadata={
                    **_told(context, told, stored.value, stored.details),
                    **_shown(stored.details),
                    "unchanged": True,
                },
                check_results=list(checks_when_unchanged(stored.value, stored.details)),
            )
    computation = compute()
    return dg.MaterializeResult(
        value=Computed(
            value=computation.value,
            fingerprint=made_from if computation.complete else "",
            data_version=computation.data_version,
            details=computation.details,
            # All of it, so that the UI shows it in this order: pictures come first.
            told=lambda value: {
                **_told(context, told, value, computation.details),
                **_shown(computation.details),
                **computation.metadata,
                "unchanged": False,
            },
        ),
        data_version=dg.DataVersion(computation.data_version),
        check_results=list(computation.checks),
    )


def _told(
    context: dg.AssetExecutionContext,
    told: Callable[[Any, Mapping[str, Any]], Mapping[str, Any]],
    value: Any,
    details: Mapping[str, Any],
) -> Mapping[str, Any]:
    """What is told about a result, or nothing: a result is right without it."""
    try:
        return told(value, details)
    except Exception as problem:  # noqa: BLE001 - what another release remembered, say
        context.log.warning("The metadata is incomplete: %r", problem)
        return {}


def _shown(details: Mapping[str, Any]) -> dict[str, Any]:
    """Those facts that a person wants to see; the rest is bookkeeping or empty."""
    return {
        key: value
        # By name, since the database does not keep their order.
        for key, value in sorted(details.items())
        if value not in (None, "", [], {}) and not key.startswith("stored_")
    }
