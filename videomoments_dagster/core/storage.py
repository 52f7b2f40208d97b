"""What every asset's storage can do, and what is remembered of a materialisation.

Belongs here: the interface and the bookkeeping in `pipeline.materialisations`. Does not belong
here: any asset's own tables (`<asset>_rows.py`) or Dagster (`partition_io_manager.py`).

Writing goes in two parts, so that no transaction waits for an upload: `upload` puts files into
the object store under keys that contain their hash, then `write` puts the rows, in one
transaction. A crash between the two leaves objects that nothing refers to, never a row whose
object is missing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db import models
from db.base import Base
from videomoments_dagster.base.failures import ResultMissing
from videomoments_dagster.core.objects.interface import ObjectStore, StoredObject
from videomoments_dagster.moments.records import StoredResult

Made = TypeVar("Made")
Stored = TypeVar("Stored")

Uploads = Mapping[Path, StoredObject]
"""What became of each local file that `upload` was asked to store."""


@dataclass(frozen=True, slots=True)
class Computed(Generic[Made]):
    """A new result on its way to storage.

    Attributes:
        value: The result.
        fingerprint: What it was made from; empty for a partial result, which is never reused.
        data_version: Content hash of the result.
        details: Small JSON facts to remember with it.
        told: From what is stored then to further metadata of the materialisation.
    """

    value: Made
    fingerprint: str
    data_version: str
    details: Mapping[str, object] = field(default_factory=dict)
    told: Callable[[Any], Mapping[str, Any]] = lambda _: {}


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Says that what is stored is still right, and nothing is to be written."""


class StoredAsset(ABC, Generic[Made, Stored]):
    """Storage of one asset: rows, and objects where it has files."""

    name: ClassVar[str]
    has_files: ClassVar[bool] = False
    """Whether there is anything to `upload`."""

    def upload(self, store: ObjectStore, *, video: str, made: Made) -> Uploads:  # noqa: ARG002
        """Store the files of `made`; nothing for assets that are rows only."""
        return {}

    def size_of_files(self, made: Made) -> int | None:  # noqa: ARG002
        """Bytes of all files that `upload` stores, where they are known beforehand."""
        return None

    @abstractmethod
    def write(self, session: Session, *, video: str, made: Made, uploads: Uploads) -> Stored | None:
        """Bring the rows in line with `made`, in the transaction of `session`.

        Returns:
            What is stored then, where that is known without reading it again; else None.
        """

    @abstractmethod
    def read(self, session: Session, *, video: str) -> Stored | None:
        """What is stored for `video`, or None where the asset was never materialised."""

    @abstractmethod
    def version(self, stored: Stored) -> str:
        """Content hash of what is stored."""

    def object_urls(self, stored: Stored) -> tuple[str, ...]:  # noqa: ARG002
        """Addresses of the objects that `stored` refers to."""
        return ()


def locked_video(session: Session, *, video: str, step: str) -> models.Video:
    """The row of `video`, locked until the transaction ends.

    The lock makes two runs of one video write one after the other.

    Raises:
        ResultMissing: If the video was never materialised.
    """
    row = session.scalar(
        select(models.Video)
        .where(models.Video.identifier == video)
        # Rows of `pipeline_history` may still be written meanwhile.
        .with_for_update(key_share=True)
    )
    if row is None:
        raise missing_result(video=video, asset="video", step=step)
    return row


def missing_result(*, video: str, asset: str, step: str) -> ResultMissing:
    """The failure for a result that is needed and not there."""
    return ResultMissing(
        f"the asset '{asset}' has no stored result",
        remedy=f"Materialise '{asset}' for this partition first",
        subject=f"video '{video}'",
        step=step,
    )


def first_missing(store: ObjectStore, urls: Collection[str]) -> str | None:
    """The first of these objects that is not there; they are looked up several at once."""
    if not urls:
        return None
    with ThreadPoolExecutor(max_workers=min(len(urls), _LOOKUPS_AT_ONCE)) as pool:
        return next(
            (url for url, found in zip(urls, pool.map(store.stat, urls), strict=True) if not found),
            None,
        )


_LOOKUPS_AT_ONCE = 8
_COLUMNS = ("fingerprint", "data_version", "details")
# The table and not the model: the ORM takes longer to run a statement than PostgreSQL.
_NOTES = Base.metadata.tables["pipeline.materialisations"]
_INSERT_NOTE = insert(_NOTES).values(
    video_id=select(models.Video.id)
    .where(models.Video.identifier == bindparam("of_video"))
    .scalar_subquery(),
    asset=bindparam("asset"),
    **{name: bindparam(name) for name in _COLUMNS},
)
# Made once: SQLAlchemy takes longer to make a statement than PostgreSQL to run it.
_NOTE = _INSERT_NOTE.on_conflict_do_update(
    index_elements=[_NOTES.c.video_id, _NOTES.c.asset],
    set_={
        **{name: _INSERT_NOTE.excluded[name] for name in _COLUMNS},
        "updated_at": func.now(),
    },
)
_STORED_VERSION = "stored_version"


def remember(
    session: Session,
    *,
    video: str,
    asset: StoredAsset[Made, Stored],
    computed: Computed[Made],
    stored: Stored | None = None,
) -> Stored:
    """Note in `pipeline.materialisations` what was just written for `video`, and give that.

    Args:
        session: The transaction in which it was written.
        video: Identifier of the video.
        asset: Whose rows they are.
        computed: What was written.
        stored: What is stored now, if that is known; else it is read.
    """
    if stored is None:
        # Reading asks whether there ever was a result.
        _note(session, video=video, asset=asset.name, computed=computed, details=computed.details)
        stored = asset.read(session, video=video)
        if stored is None:
            raise missing_result(video=video, asset=asset.name, step=asset.name)
    details = {**computed.details, _STORED_VERSION: asset.version(stored)}
    _note(session, video=video, asset=asset.name, computed=computed, details=details)
    return stored


def _note(
    session: Session,
    *,
    video: str,
    asset: str,
    computed: Computed[Made],
    details: Mapping[str, object],
) -> None:
    session.connection().execute(
        _NOTE,
        {
            "of_video": video,
            "asset": asset,
            "fingerprint": computed.fingerprint,
            "data_version": computed.data_version,
            "details": dict(details),
        },
    )
    # What was loaded of it before is out of date.
    session.expire_all()


def recall(session: Session, *, video: str, asset: str) -> StoredResult | None:
    """What was noted of the last materialisation of `asset` for `video`, if anything."""
    row = session.scalar(
        select(models.Materialisation)
        .join(models.Video, models.Video.id == models.Materialisation.video_id)
        .where(models.Video.identifier == video, models.Materialisation.asset == asset)
    )
    if row is None:
        return None
    return StoredResult(
        fingerprint=row.fingerprint, data_version=row.data_version, details=dict(row.details)
    )


def stored_versions(session: Session, *, video: str) -> dict[str, str]:
    """Content hashes of what was last stored of `video`, by asset."""
    rows = session.execute(
        select(models.Materialisation.asset, models.Materialisation.details)
        .join(models.Video, models.Video.id == models.Materialisation.video_id)
        .where(models.Video.identifier == video)
    )
    return {asset: str(details.get(_STORED_VERSION, "")) for asset, details in rows}


def unchanged_value(
    session: Session, *, video: str, asset: StoredAsset[Made, Stored], result: StoredResult
) -> Stored | None:
    """What is stored, if the rows are still what `result` says was stored.

    Rows that somebody deleted or changed by SQL make a result that has to be computed again,
    whatever its fingerprint says.

    Returns:
        What is stored, or None if the rows have changed.
    """
    stored = asset.read(session, video=video)
    if stored is None or asset.version(stored) != result.details.get(_STORED_VERSION):
        return None
    return stored
