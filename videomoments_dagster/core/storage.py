"""Between an asset's value and its rows and objects, and what is remembered of a materialisation.

Writing goes in two parts, so that no transaction waits for an upload: files go into the object
store under keys that contain their hash, then the rows are written in one transaction. A crash
between the two leaves objects that nothing refers to, never a row whose object is missing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import InstrumentedAttribute, Session

from db import models
from db.session import Database
from videomoments_dagster.base.failures import ObjectMissing, ResultMissing
from videomoments_dagster.base.progress import Progress
from videomoments_dagster.core.objects.store import ObjectStore, StoredObject
from videomoments_dagster.core.partition import Partition

Result = TypeVar("Result")
Value = TypeVar("Value")

Uploads = Mapping[Path, StoredObject]
"""What became of each local file that belongs to a value."""

WHOLE = "all"
"""Name of the part of a result that is all of it."""

_LOOKUPS_AT_ONCE = 8
_STORED_VERSION = "stored_version"


@dataclass(frozen=True, slots=True)
class FileToStore:
    """A local file on its way into the object store.

    Attributes:
        path: The file; only read.
        key: Where it goes; it contains a hash of the bytes.
        content_type: MIME type.
        sha256: Expected SHA-256, where the key promises all of it.
    """

    path: Path
    key: str
    content_type: str
    sha256: str | None = None


class AssetStorage(ABC, Generic[Result, Value]):
    """Storage of one asset: rows, and objects where it has files.

    `Result` is what the asset returns, `Value` what assets downstream are given; often the same.
    """

    name: ClassVar[str]
    """The asset's name, under which its materialisations are remembered."""

    addresses: ClassVar[Sequence[InstrumentedAttribute[str]]] = ()
    """Columns with addresses of objects that this asset keeps; garbage collection reads them."""

    def files(self, partition: Partition, made: Result) -> Sequence[FileToStore]:  # noqa: ARG002
        """The files of `made`; none for assets that are rows only."""
        return ()

    @abstractmethod
    def write(
        self, session: Session, partition: Partition, made: Result, uploads: Uploads
    ) -> Value | None:
        """Bring the rows in line with `made`, in the transaction of `session`.

        Returns:
            What is stored then, where that is known without reading it again; else None.
        """

    @abstractmethod
    def read(self, session: Session, partition: Partition) -> Value | None:
        """What is stored, or None where the asset was never materialised."""

    @abstractmethod
    def version(self, stored: Value) -> str:
        """Content hash of what is stored."""

    def parts(self, stored: Value) -> Mapping[str, str]:
        """Content hashes of what an asset downstream may depend on alone; `all` is all of it."""
        return {WHOLE: self.version(stored)}

    def object_urls(self, stored: Value) -> Collection[str]:  # noqa: ARG002
        """Addresses of the objects that `stored` refers to."""
        return ()


@dataclass(frozen=True, slots=True)
class MadeFrom:
    """What a result depends on that SQL can tell of: when another one is there, it is stale.

    Attributes:
        inputs: Content hashes of parts of other results, by `<asset>.<part>`.
        code_version: Of the asset; empty where it is not known.
    """

    inputs: Mapping[str, str] = field(default_factory=dict)
    code_version: str = ""


@dataclass(frozen=True, slots=True)
class Computed(Generic[Result]):
    """A new result on its way to storage.

    Attributes:
        value: The result.
        fingerprint: What it was made from; empty for a partial result, which is never reused.
        data_version: Content hash of the result.
        details: Small JSON facts to remember with it.
        metadata_of: From what is stored then to metadata of the materialisation.
        made_from: Results that it depends on, as they are now.
    """

    value: Result
    fingerprint: str
    data_version: str
    details: Mapping[str, object] = field(default_factory=dict)
    metadata_of: Callable[[Any], Mapping[str, Any]] = lambda _: {}
    made_from: MadeFrom = field(default_factory=MadeFrom)


@dataclass(frozen=True, slots=True)
class Note:
    """What is remembered of an asset's last materialisation.

    Attributes:
        fingerprint: What it was made from; empty for a partial result.
        data_version: Content hash that Dagster was given.
        details: Small JSON facts.
    """

    fingerprint: str
    data_version: str
    details: Mapping[str, Any]


def store(
    database: Database,
    objects: ObjectStore,
    partition: Partition,
    storage: AssetStorage[Result, Value],
    computed: Computed[Result],
    *,
    progress: Progress | None = None,
) -> tuple[Value, int]:
    """Store a result: its files, then its rows and what is remembered of it, in one transaction.

    Returns:
        What is stored now, and how many objects were written.
    """
    uploads = _uploaded(objects, storage.files(partition, computed.value), progress)
    with database.transaction() as session:
        written = storage.write(session, partition, computed.value, uploads)
        stored = remember(session, partition, storage, computed, written)
    return stored, sum(upload.created for upload in uploads.values())


def _uploaded(
    objects: ObjectStore, files: Sequence[FileToStore], progress: Progress | None
) -> dict[Path, StoredObject]:
    total = sum(file.path.stat().st_size for file in files if file.path.exists())
    before = 0

    def written(size_bytes: int) -> None:
        if progress is not None:
            progress.of_bytes(before + size_bytes, total)

    uploads: dict[Path, StoredObject] = {}
    for file in files:
        uploads[file.path] = objects.put_file(
            file.path,
            key=file.key,
            content_type=file.content_type,
            sha256=file.sha256,
            progress=written,
        )
        before += uploads[file.path].size_bytes
    return uploads


def remember(
    session: Session,
    partition: Partition,
    storage: AssetStorage[Result, Value],
    computed: Computed[Result],
    stored: Value | None = None,
) -> Value:
    """Note in `pipeline.materialisations` what was just written, and give what is stored.

    Args:
        session: The transaction in which it was written.
        partition: Whose result it is.
        storage: Of the asset.
        computed: What was written.
        stored: What is stored now, if that is known; else it is read.

    Raises:
        ResultMissing: If nothing is stored although it was written.
    """
    if stored is None:
        # Reading asks whether there ever was a result.
        _note(session, partition, storage.name, computed, computed.details)
        stored = storage.read(session, partition)
        if stored is None:
            raise missing_result(partition, asset=storage.name, step=storage.name)
    details = {**computed.details, _STORED_VERSION: storage.version(stored)}
    parts = {f"{storage.name}.{part}": one for part, one in storage.parts(stored).items()}
    _note(session, partition, storage.name, computed, details, parts)
    _mark_stale(session, partition)
    return stored


def _note(
    session: Session,
    partition: Partition,
    asset: str,
    computed: Computed[Any],
    details: Mapping[str, object],
    parts: Mapping[str, str] = MappingProxyType({}),
) -> None:
    values = {
        "fingerprint": computed.fingerprint,
        "data_version": computed.data_version,
        "details": dict(details),
        "parts": dict(parts),
        "inputs": dict(computed.made_from.inputs),
        "code_version": computed.made_from.code_version,
    }
    session.execute(
        insert(models.Materialisation)
        .values(system=partition.system, partition_key=partition.key, asset=asset, **values)
        .on_conflict_do_update(
            index_elements=["system", "partition_key", "asset"],
            set_={**values, "updated_at": func.now()},
        )
    )
    # What was loaded of it before is out of date.
    session.expire_all()


# A part that nobody has noted yet, of a result from before that, makes nothing stale.
_MARK_STALE = text("""
    UPDATE pipeline.materialisations AS made SET is_stale = NOT made.is_stale
    WHERE made.system = :system AND made.partition_key = :partition
    AND made.is_stale IS DISTINCT FROM EXISTS (
        SELECT FROM jsonb_each_text(made.inputs) AS input (part, version)
        JOIN pipeline.materialisations AS other ON other.parts ->> input.part <> input.version
        WHERE other.system = made.system AND other.partition_key = made.partition_key
    )
""")


def _mark_stale(session: Session, partition: Partition) -> None:
    """Mark the results of a partition that were made from others than are there now."""
    given = {"system": partition.system, "partition": partition.key}
    session.execute(_MARK_STALE, given)


def confirm(database: Database, partition: Partition, asset: str, made_from: MadeFrom) -> None:
    """Note that a result is what would be made from this too; nothing is written if that is known.

    Results that depend on parts of others change when those do. This is for one from before what
    it was made from was remembered, and for one that another part might have changed and has not.
    """
    row = models.Materialisation
    values = {"inputs": dict(made_from.inputs), "code_version": made_from.code_version}
    of_asset = (
        row.system == partition.system,
        row.partition_key == partition.key,
        row.asset == asset,
    )
    with database.transaction() as session:
        changed = session.execute(
            update(row)
            .where(
                *of_asset,
                or_(row.inputs != values["inputs"], row.code_version != values["code_version"]),
            )
            # It was made when it was.
            .values(**values, updated_at=row.updated_at)
            .returning(row.asset)
        ).all()
        if changed:
            _mark_stale(session, partition)


def recall(session: Session, partition: Partition, asset: str) -> Note | None:
    """What was noted of the last materialisation of `asset`, if anything."""
    row = session.get(models.Materialisation, (partition.system, partition.key, asset))
    if row is None:
        return None
    return Note(row.fingerprint, row.data_version, dict(row.details))


def stored_versions(session: Session, partition: Partition) -> dict[str, str]:
    """Content hashes of what was last stored of a partition, by asset."""
    rows = session.execute(
        select(models.Materialisation.asset, models.Materialisation.details).where(
            models.Materialisation.system == partition.system,
            models.Materialisation.partition_key == partition.key,
        )
    )
    return {asset: str(details.get(_STORED_VERSION, "")) for asset, details in rows}


class StoredResult(Generic[Value]):
    """What an asset's last materialisation left in a partition; read when first asked for."""

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        partition: Partition,
        storage: AssetStorage[Any, Value],
    ) -> None:
        self._database = database
        self._objects = objects
        self.partition = partition
        self._storage = storage

    @cached_property
    def _row(self) -> tuple[Note | None, Value | None]:
        with self._database.read() as session:
            note = recall(session, self.partition, self._storage.name)
            return note, self._storage.read(session, self.partition)

    @property
    def value(self) -> Value | None:
        """What the rows say, as assets downstream are given it; None where there is nothing."""
        return self._row[1]

    @property
    def note(self) -> Note | None:
        """What is remembered of the materialisation."""
        return self._row[0]

    @property
    def details(self) -> Mapping[str, Any]:
        """Small facts that are remembered, whatever became of the rows."""
        return self.note.details if self.note is not None else {}

    @cached_property
    def is_intact(self) -> bool:
        """Whether rows and objects still are what was stored.

        Rows that somebody deleted or changed by SQL make a result that has to be computed again,
        whatever its fingerprint says.
        """
        value = self.value
        return (
            value is not None
            and self._storage.version(value) == self.details.get(_STORED_VERSION)
            and first_missing(self._objects, self._storage.object_urls(value)) is None
        )

    def has_object(self, url: str) -> bool:
        """Whether the object at `url` is there."""
        return self._objects.stat(url) is not None


def load(
    database: Database,
    objects: ObjectStore,
    partition: Partition,
    storage: AssetStorage[Any, Value],
    *,
    step: str,
) -> Value:
    """What is stored of an asset, for a step that needs it.

    Raises:
        ResultMissing: If the asset was never materialised, or an object of it is gone; the
            message names the asset to materialise.
    """
    with database.read() as session:
        stored = storage.read(session, partition)
    if stored is None:
        raise missing_result(partition, asset=storage.name, step=step)
    gone = first_missing(objects, storage.object_urls(stored))
    if gone is not None:
        raise ObjectMissing(
            f"the object {gone} of the asset '{storage.name}' is gone",
            remedy=f"Materialise '{storage.name}' for this partition again",
        )
    return stored


def missing_result(partition: Partition, *, asset: str, step: str) -> ResultMissing:
    """The failure for a result that is needed and not there."""
    return ResultMissing(
        f"the asset '{asset}' has no stored result",
        remedy=f"Materialise '{asset}' for this partition first, or all of it: "
        f"`videomoments run {partition.key}`",
        subject=partition.subject,
        step=step,
    )


def first_missing(objects: ObjectStore, urls: Collection[str]) -> str | None:
    """The first of these objects that is not there; they are looked up several at once."""
    if not urls:
        return None
    with ThreadPoolExecutor(max_workers=min(len(urls), _LOOKUPS_AT_ONCE)) as pool:
        found = pool.map(objects.stat, urls)
        return next((url for url, stat in zip(urls, found, strict=True) if stat is None), None)


def note_origin(
    session: Session,
    partition: Partition,
    *,
    url: str,
    fingerprint: str,
    details: Mapping[str, object],
) -> None:
    """Note what an object was made from: a clip cut with other padding, say, is made again.

    Args:
        session: The transaction that writes the object's row.
        partition: Whose object it is.
        url: Its address.
        fingerprint: Digest of what determined its bytes.
        details: Small JSON facts about it.
    """
    values = {"fingerprint": fingerprint, "details": dict(details)}
    session.execute(
        insert(models.ObjectOrigin)
        .values(url=url, system=partition.system, partition_key=partition.key, **values)
        .on_conflict_do_update(index_elements=[models.ObjectOrigin.url], set_=values)
    )


def origins(session: Session, urls: Collection[str]) -> dict[str, models.ObjectOrigin]:
    """What those of `urls` were made from of which that is known, by address."""
    rows = session.scalars(select(models.ObjectOrigin).where(models.ObjectOrigin.url.in_(urls)))
    return {row.url: row for row in rows}
