"""The decorator that makes a function an asset of a system.

```python
@asset(STUDIO, ImageRows(), code_version="1", kinds={"ffmpeg"}, pool=ENCODING)
def images(context: dg.AssetExecutionContext, prompts: Prompts, scratch: ScratchResource) -> Images:
    \"\"\"Twenty pictures, painted from the prompts.\"\"\"
```

It is `dg.asset` with the system's partitions, group and IO manager, and around the function the
frame: nothing changed means nothing done, typed failures, checks and metadata.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import dagster as dg
from pydantic import Field

from videomoments_dagster.base.fingerprints import digest, fingerprint
from videomoments_dagster.core.asset_checks import ResultCheck, StoredCheck, called_by_name
from videomoments_dagster.core.dagster_failures import RETRY_OUTSIDE, failures_reported
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.resources import StoredResultsResource
from videomoments_dagster.core.storage import (
    WHOLE,
    AssetStorage,
    Computed,
    MadeFrom,
    StoredResult,
)
from videomoments_dagster.core.systems import (
    AfterStoring,
    RegisteredAsset,
    System,
    registered,
)
from videomoments_dagster.sources.patience import waiting_told

Value = TypeVar("Value")
Owner = TypeVar("Owner")


class _Piece(Protocol):
    @property
    def cloud_url(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...


StoredPiece = TypeVar("StoredPiece", bound=_Piece)
"""One of several files of a result, with its address and what it was made from."""

_PREVIOUS = "previous"
_RESULTS = "results"
_SERVED = "served"


class MaterialisationConfig(dg.Config):
    """Run config that every asset takes."""

    force: bool = Field(
        default=False, description="Compute again even where nothing has changed since last time."
    )


@dataclass(frozen=True, slots=True)
class Made(Generic[Value]):
    """What an asset made, where the value alone does not say all.

    Attributes:
        value: The value for the storage.
        data_version: Content hash of the value; None for the storage's, or that of its files.
        details: Small JSON facts; kept, and shown again while nothing changes.
        metadata: Larger things for the UI; shown with this materialisation only.
        complete: False for a partial result, which the next materialisation goes on with.
    """

    value: Value
    data_version: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Says that what is stored is still right, and no result is to be written.

    Attributes:
        made_from: What that holds for, which the frame fills in.
    """

    made_from: MadeFrom | None = None


UNCHANGED = Unchanged()


class Previous(StoredResult[Value]):
    """What the asset's last materialisation left; a function asks for it as `previous`.

    A function that has it decides for itself whether anything has changed. For one that has not,
    the versions of its inputs and its run config decide.
    """

    def __init__(self, *stored: Any, code_version: str, force: bool) -> None:
        """Look at what is stored.

        Args:
            *stored: As for `StoredResult`.
            code_version: Of the asset as it is now.
            force: Whether it is computed again in any case.
        """
        super().__init__(*stored)
        self._code_version = code_version
        self.force = force
        self.made_from = ""
        self.depends_on: Mapping[str, str] = {}

    @property
    def made_from_now(self) -> MadeFrom:
        """What the result depends on, as it is now."""
        return MadeFrom(self.depends_on, self._code_version)

    def is_made_from(
        self, *, inputs: Mapping[str, object], settings: Mapping[str, object] | None = None
    ) -> bool:
        """Whether the stored result still stands: made from just this, and as it was stored.

        Dagster's own record of an asset says nothing about rows that somebody deleted, so the
        rows and objects themselves are asked.

        Args:
            inputs: Data versions of what the result is made from, by name.
            settings: Settings that the result depends on, by name.
        """
        self.made_from = fingerprint(
            code_version=self._code_version, inputs=inputs, settings=settings or {}
        )
        note = self.note
        return (
            not self.force
            and note is not None
            and note.fingerprint == self.made_from
            and self.is_intact
        )

    def still_right(
        self, pieces: Mapping[Owner, StoredPiece], wanted: Mapping[Owner, str]
    ) -> dict[Owner, StoredPiece]:
        """The stored pieces that need not be made again, in their order; none with `force`.

        Args:
            pieces: What is stored, by whose it is.
            wanted: Fingerprint of each piece that there should be.
        """
        return {
            owner: piece
            for owner, piece in pieces.items()
            if not self.force
            and wanted.get(owner) == piece.fingerprint
            and self.has_object(piece.cloud_url)
        }


def asset(
    system: System,
    storage: AssetStorage[Any, Any],
    *,
    code_version: str,
    kinds: set[str],
    metadata: Callable[..., Mapping[str, Any]] | None = None,
    checks: Sequence[ResultCheck] = (),
    stored_check: StoredCheck | None = None,
    pool: str | None = None,
    ins: Mapping[str, dg.AssetIn] | None = None,
    depends_on: Mapping[str, str] | None = None,
    after_storing: AfterStoring | None = None,
    without: Collection[str] = (),
    retry_policy: dg.RetryPolicy = RETRY_OUTSIDE,
    priority: int = 0,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Make a function an asset of `system`, kept by `storage`.

    The function takes `context`, `config`, inputs and resources as any of Dagster's, and
    `previous` if it wants to know what is stored. Its config is a `MaterialisationConfig`, which
    its step takes even where it asks for none. It returns its value, a `Made`, or `UNCHANGED`. Its
    docstring is the description in the UI.

    Args:
        system: Whose it is.
        storage: Its rows and objects; its `name` is the function's.
        code_version: Another one computes everything again.
        kinds: Dagster's badges.
        metadata: From what is stored then, and inputs, `details` or `served` (where people open
            objects) by name, to what the UI shows; it reads no object.
        checks: Checks of the value, in the asset's own step.
        stored_check: Check of what is stored, apart from any step.
        pool: Dagster's pool.
        ins: Inputs whose keys are not their names, such as other systems' assets.
        depends_on: Inputs of which only a part determines the result, and the part's name in
            `AssetStorage.parts`. While that part is the same, the result is not out of date.
        after_storing: What follows when its partition was stored or found unchanged.
        without: Inputs that it does without in this installation, so that it depends on none of
            them; the function's defaults stand in.
        retry_policy: For failures that trying again can mend.
        priority: Of steps of a run that could be next, that with the highest is.
    """

    def decorate(function: Callable[..., Any]) -> dg.AssetsDefinition:
        name = function.__name__.removeprefix("_")
        if name != storage.name:
            raise dg.DagsterInvalidDefinitionError(
                f"The asset '{name}' is given the storage of '{storage.name}'."
            )
        key = dg.AssetKey([*system.key_prefix, name])
        wanted = {
            one: parameter
            for one, parameter in inspect.signature(function, eval_str=True).parameters.items()
            if one not in without
        }
        inputs = [
            one.name
            for one in wanted.values()
            if one.name not in ("context", "config", _PREVIOUS)
            and not (
                isinstance(one.annotation, type)
                and issubclass(one.annotation, dg.ConfigurableResource)
            )
        ]
        upstream = {
            one: ins[one].key or dg.AssetKey(one)
            if ins and one in ins
            else dg.AssetKey([*system.key_prefix, one])
            for one in inputs
        }
        # Another system's result has partitions of its own.
        parts = {
            one: (depends_on or {}).get(one, WHOLE)
            for one, of in upstream.items()
            if of == dg.AssetKey([*system.key_prefix, one])
        }
        system.register(
            RegisteredAsset(
                system,
                key,
                storage,
                checks,
                stored_check,
                pool,
                after_storing,
                code_version,
                parts,
            )
        )

        def step(context: dg.AssetExecutionContext, **given: Any) -> dg.MaterializeResult[Any]:
            results: StoredResultsResource = given.pop(_RESULTS)
            partition = system.any_partition(context.partition_key)
            with (
                waiting_told(lambda said: context.log.warning("%s", said)),
                failures_reported(partition, step=name),
            ):
                partition = system.partition(context.partition_key)
                config = given["config"] if "config" in wanted else given.pop("config")
                previous: Previous[Any] = Previous(
                    results.database.database,
                    results.object_store.store,
                    partition,
                    storage,
                    code_version=code_version,
                    force=config.force,
                )
                values = {one: given[one] for one in inputs}
                previous.depends_on = {
                    f"{one}.{part}": registered(upstream[one]).storage.parts(values[one])[part]
                    for one, part in parts.items()
                }
                described_by = {**given, _SERVED: results.object_store.served}
                if _PREVIOUS in wanted:
                    given[_PREVIOUS] = previous
                elif previous.is_made_from(
                    inputs=_versions(values, upstream), settings=_settings(config)
                ):
                    return frame.result(context, UNCHANGED, previous, described_by)
                if "context" in wanted:
                    given["context"] = context
                return frame.result(context, function(**given), previous, described_by)

        frame = _Frame(storage, metadata, checks)
        # Dagster tells inputs, config and resources apart by these.
        annotations = {
            "context": dg.AssetExecutionContext,
            "config": MaterialisationConfig,
            **{one.name: one.annotation for one in wanted.values() if one.name != _PREVIOUS},
            _RESULTS: StoredResultsResource,
        }
        step.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=one)
                for name, one in annotations.items()
            ]
        )
        step.__annotations__ = annotations
        step.__name__, step.__doc__ = name, function.__doc__
        return dg.asset(
            key=key,
            ins={one: (ins or {}).get(one, dg.AssetIn(upstream[one])) for one in inputs},
            partitions_def=system.partitions,
            group_name=system.name,
            pool=pool,
            owners=list(system.owners),
            kinds=kinds,
            code_version=code_version,
            retry_policy=retry_policy,
            op_tags={"dagster/priority": str(priority)} if priority else None,
            # Beside checks, Dagster takes a MaterializeResult to have no value unless it is told.
            dagster_type=dg.Any,
            check_specs=[check.spec(key, system.partitions) for check in checks],
        )(step)

    return decorate


@dataclass(frozen=True, slots=True)
class _Frame:
    """From what a function returns to what Dagster is given."""

    storage: AssetStorage[Any, Any]
    metadata: Callable[..., Mapping[str, Any]] | None
    checks: Sequence[ResultCheck]

    def result(
        self,
        context: dg.AssetExecutionContext,
        returned: Any,
        previous: Previous[Any],
        given: Mapping[str, Any],
    ) -> dg.MaterializeResult[Any]:
        if isinstance(returned, Unchanged):
            context.log.info("Nothing changed since the last materialisation; it is kept.")
            available = {**given, "details": previous.details}
            return dg.MaterializeResult(
                value=Unchanged(previous.made_from_now),
                data_version=dg.DataVersion(previous.note.data_version if previous.note else ""),
                metadata={
                    **self._described(context, previous.value, available),
                    **_shown(previous.details),
                    "unchanged": True,
                },
                check_results=[one.result(previous.value, available) for one in self.checks],
            )
        made = returned if isinstance(returned, Made) else Made(returned)
        version = made.data_version or self._version(previous.partition, made.value)
        available = {**given, "details": made.details}
        return dg.MaterializeResult(
            value=Computed(
                value=made.value,
                fingerprint=previous.made_from if made.complete else "",
                data_version=version,
                details=made.details,
                made_from=previous.made_from_now,
                # All of it, so that the UI shows it in this order: pictures come first.
                metadata_of=lambda stored: {
                    **self._described(context, stored, available),
                    **_shown(made.details),
                    **made.metadata,
                    "unchanged": False,
                },
            ),
            data_version=dg.DataVersion(version),
            check_results=[one.result(made.value, available) for one in self.checks],
        )

    def _version(self, partition: Partition, value: Any) -> str:
        """Content hash of a value; keys of objects contain the hashes of their bytes."""
        files = self.storage.files(partition, value)
        return digest([file.key for file in files]) if files else self.storage.version(value)

    def _described(
        self, context: dg.AssetExecutionContext, value: Any, available: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Metadata about a result, or nothing: a result is right without it."""
        if self.metadata is None:
            return {}
        try:
            described: Mapping[str, Any] = called_by_name(self.metadata, value, available)
        except Exception as problem:  # noqa: BLE001 - what another release remembered, say
            context.log.warning("The metadata is incomplete: %r", problem)
            return {}
        return described


def _versions(values: Mapping[str, Any], keys: Mapping[str, dg.AssetKey]) -> dict[str, str]:
    """Versions of input values, by name."""
    return {name: registered(keys[name]).storage.version(one) for name, one in values.items()}


def _settings(config: MaterialisationConfig) -> dict[str, Any]:
    return config.model_dump(mode="json", exclude={"force"})


def _shown(details: Mapping[str, Any]) -> dict[str, Any]:
    """Those facts that a person wants to see; the rest is bookkeeping or empty."""
    return {
        key: value
        # By name, since the database does not keep their order.
        for key, value in sorted(details.items())
        if value not in (None, "", [], {}) and not key.startswith("stored_")
    }
