"""Systems: groups of assets over partitions of their own, and what is registered of each.

Assets register themselves (`core.asset`). Jobs, checks, history and garbage collection are derived
from what is registered; no name of an asset is written down a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from sqlalchemy import SQLColumnExpression

from db.session import Database
from videomoments_dagster.base.identifiers import checked_identifier, is_identifier
from videomoments_dagster.core.asset_checks import ResultCheck, StoredCheck
from videomoments_dagster.core.objects.served import ServedObjects
from videomoments_dagster.core.objects.store import ObjectStore
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.storage import AssetStorage

AfterStoring = Callable[
    [Database, ObjectStore, Partition, ServedObjects, Callable[[str], None]], Mapping[str, Any]
]
"""Called when a partition was stored or found unchanged, with what warns; gives metadata."""


@dataclass(frozen=True, slots=True)
class RegisteredAsset:
    """What the frame knows of one asset.

    Attributes:
        system: Whose it is.
        key: Dagster's key of it.
        storage: Where its values are kept.
        checks: Checks of what was just made.
        stored_check: Check of what is stored, whenever somebody looks.
        pool: Dagster's pool that its step takes a slot of.
        after_storing: What follows when its partition was stored or found unchanged.
        code_version: Another one computes everything again.
        depends_on: The parts of the system's other results that it is made from, by asset.
    """

    system: System
    key: dg.AssetKey
    storage: AssetStorage[Any, Any]
    checks: Sequence[ResultCheck] = ()
    stored_check: StoredCheck | None = None
    pool: str | None = None
    after_storing: AfterStoring | None = None
    code_version: str = ""
    depends_on: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The function's name, which is the last part of the key."""
        return self.key.path[-1]


@dataclass(frozen=True, slots=True)
class AssetJob:
    """A job that materialises some assets of one partition.

    Attributes:
        system: Whose assets.
        name: Name of the job.
        description: What it does, for the UI.
        only: Keys of the assets; empty for all that the system has.
        config: Run config that it has where a run of it gives none.
    """

    system: System
    name: str
    description: str
    only: tuple[dg.AssetKey, ...]
    config: Mapping[str, Any]

    @property
    def assets(self) -> frozenset[str]:
        """Names of the assets."""
        return frozenset(key.path[-1] for key in self.only) or frozenset(self.system.assets)

    def definition(self) -> Any:
        """Dagster's definition, once all assets of the system are registered.

        Checks of what is stored are left out: a run that changes nothing reads no object.
        """
        selection = (
            dg.AssetSelection.assets(*self.only)
            if self.only
            else dg.AssetSelection.groups(self.system.name)
        )
        stored = [
            dg.AssetCheckKey(one.key, STORED_CHECK)
            for one in self.system.assets.values()
            if one.stored_check is not None
        ]
        return dg.define_asset_job(
            name=self.name,
            selection=selection - dg.AssetSelection.checks(*stored),
            description=self.description,
            config=dict(self.config) or None,
        )


@dataclass(frozen=True, eq=False)
class System:
    """A group of assets over one kind of partitions.

    Attributes:
        name: Asset group, and the key of its results in the database.
        partitions: Dagster's partitions of all its assets.
        noun: What people call one partition.
        key_prefix: What its asset keys begin with.
        object_kinds: Kinds of objects that its assets keep, each a folder of the store with a
            folder for each partition.
        objects_below: What the folders of those kinds are below, such as "lecture/".
        owners: Who answers for its assets.
        check_job: Name of the job that checks what is stored.
        anchor: Column that holds the key of each partition as long as there is anything of it.
    """

    name: str
    partitions: dg.PartitionsDefinition[str]
    noun: str
    key_prefix: tuple[str, ...] = ()
    object_kinds: tuple[str, ...] = ()
    objects_below: str = ""
    owners: tuple[str, ...] = ("team:videomoments",)
    check_job: str = "check_stored_results"
    anchor: SQLColumnExpression[str] | None = None
    assets: dict[str, RegisteredAsset] = field(default_factory=dict)
    jobs: dict[str, AssetJob] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _SYSTEMS[self.name] = self

    def any_partition(self, key: str) -> Partition:
        """The partition of that key, which somebody may have made up in Dagster's UI."""
        return Partition(self.name, key, self.noun)

    def partition(self, key: str) -> Partition:
        """The partition of that key.

        Raises:
            IdentifierRejected: If the key breaks the rule for identifiers.
        """
        return Partition(self.name, checked_identifier(key, noun=self.noun), self.noun)

    def folder(self, kind: str) -> str:
        """Folder of the object store with the objects of a kind."""
        return f"{self.objects_below}{kind}"

    def folders_of(self, key: str) -> list[str]:
        """Everything in the object store that belongs to the partition of that key."""
        checked_identifier(key)
        return [f"{self.folder(kind)}/{key}" for kind in self.object_kinds]

    def owner_of(self, object_key: str) -> Partition | None:
        """The partition that an object belongs to, by its key; None for objects of others."""
        for kind in self.object_kinds:
            folder, _, rest = object_key.partition(f"{self.folder(kind)}/")
            key, slash, _ = rest.partition("/")
            if not folder and slash and is_identifier(key):
                return Partition(self.name, key, self.noun)
        return None

    def register(self, asset: RegisteredAsset) -> None:
        """Take note of an asset; one of the same key replaces it."""
        self.assets[asset.name] = asset
        _REGISTERED[asset.key] = asset

    def downstream_of(self, assets: Collection[str]) -> frozenset[str]:
        """Some assets, and all that are made from them, through others too."""
        found = frozenset(assets)
        more = {name for name, one in self.assets.items() if not found.isdisjoint(one.depends_on)}
        return found if more <= found else self.downstream_of(found | more)

    def asset_job(
        self,
        name: str,
        description: str,
        *,
        assets: Sequence[dg.AssetsDefinition] = (),
        config: Mapping[str, Any] | None = None,
    ) -> AssetJob:
        """Give the system a job; without `assets`, one that materialises all."""
        job = AssetJob(self, name, description, tuple(one.key for one in assets), config or {})
        self.jobs[name] = job
        return job


STORED_CHECK = "stored_result_is_sound"
"""Name of the check of what is stored, of every asset that has one."""

_SYSTEMS: dict[str, System] = {}
_REGISTERED: dict[dg.AssetKey, RegisteredAsset] = {}


def registered(key: dg.AssetKey) -> RegisteredAsset:
    """What is registered under an asset key.

    Raises:
        DagsterInvariantViolationError: If the asset was not made by `core.asset.asset`.
    """
    if key not in _REGISTERED:
        raise dg.DagsterInvariantViolationError(
            f"The asset {key.to_user_string()} is not stored by this project's IO manager."
        )
    return _REGISTERED[key]


def find_registered(key: dg.AssetKey) -> RegisteredAsset | None:
    """The same, or None for assets of others."""
    return _REGISTERED.get(key)


def all_systems() -> list[System]:
    """Every system that was made in this process."""
    return list(_SYSTEMS.values())


def system_named(name: str) -> System:
    """The system of that name."""
    return _SYSTEMS[name]
