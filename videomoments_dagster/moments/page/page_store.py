"""The page that is stored beside a video's clips: when it is made anew, its object and its row.

It shows what the clips were made from, and the clips: video, transcript, root moments. Refined
boundaries and thumbnails are made after the clips or beside them; a page with those would depend
on which step came first, and would be stored anew by a run that changes nothing. The command
`videomoments report` shows them too.

It is written after the clips and apart from them, so that no failure of a page can undo clips. A
crash between the two leaves a page that is out of date, which the next materialisation sees by its
fingerprint, even one that changes no clip.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db import models
from db.session import Database
from videomoments_dagster.base.failures import DatabaseProblem
from videomoments_dagster.base.fingerprints import digest
from videomoments_dagster.core.metadata_values import link
from videomoments_dagster.core.objects.served import ServedObjects
from videomoments_dagster.core.objects.store import ObjectStore
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.storage import missing_result, stored_versions
from videomoments_dagster.moments.object_keys import page_key
from videomoments_dagster.moments.page.page import PageContents, page_html, page_version
from videomoments_dagster.moments.page.page_addresses import Address, relative_address
from videomoments_dagster.moments.reading import read_video
from videomoments_dagster.moments.storage.clip_rows import ClipRows
from videomoments_dagster.moments.storage.moment_rows import RootMomentRows
from videomoments_dagster.moments.storage.video_rows import TranscriptRows, VideoRows, locked_video
from videomoments_dagster.moments.stored_videos import StoredVideo

_SHOWN = (VideoRows.name, TranscriptRows.name, RootMomentRows.name, ClipRows.name)


def page_beside_clips(
    database: Database,
    store: ObjectStore,
    partition: Partition,
    served: ServedObjects,
    warn: Callable[[str], None],
) -> dict[str, Any]:
    """Store the page of a video if what it shows has changed; a failure is said and no more.

    Args:
        database: Our database.
        store: Where clips and pages are.
        partition: The video.
        served: Where people open it.
        warn: Takes a sentence for the run's log.

    Returns:
        Metadata with the page's address, or why there is none.
    """
    try:
        url = refresh_page(database, store, partition)
    except Exception as failure:  # noqa: BLE001 - whatever it is, the clips are there
        warn(f"The page of this video could not be stored: {failure}")
        return {"page": f"could not be stored: {failure}"}
    return {"page": link(url, served)}


def page_link(
    database: Database,
    store: ObjectStore,  # noqa: ARG001 - the row says where it is
    partition: Partition,
    served: ServedObjects,
    warn: Callable[[str], None],
) -> dict[str, Any]:
    """Metadata with the address of a video's stored page, so that every run links to it.

    Args:
        database: Our database.
        store: Where pages are.
        partition: The video.
        served: Where people open it.
        warn: Takes a sentence for the run's log.
    """
    try:
        with database.read() as session:
            row = _page_row(session, partition)
    except DatabaseProblem as problem:
        warn(f"There is no link to the page of this video: {problem}")
        return {}
    return {"page": link(row.cloud_url, served)} if row else {}


def refresh_page(database: Database, store: ObjectStore, partition: Partition) -> str:
    """Bring the stored page of a video in line with its rows; nothing is done if it is already.

    Args:
        database: Our database.
        store: Where clips and pages are.
        partition: A video whose clips are stored.

    Returns:
        The page's address.

    Raises:
        ResultMissing: If the video was removed meanwhile.
        VideoMomentsError: If the page could not be stored.
    """
    with database.read() as session:
        versions = stored_versions(session, partition)
        shown = {asset: versions.get(asset) for asset in _SHOWN}
        fingerprint = digest([page_version(), shown])
        row = _page_row(session, partition)
        if row and row.fingerprint == fingerprint and store.stat(row.cloud_url):
            return str(row.cloud_url)
        stored = read_video(session, partition.key)
    if not isinstance(stored, StoredVideo):
        raise missing_result(partition, asset="video", step="clips")
    url = _stored(store, page_html(_contents(store, stored)), partition.key)
    values = {"cloud_url": url, "fingerprint": fingerprint}
    with database.transaction() as session:
        video_id = locked_video(session, partition, step="clips")
        session.execute(
            insert(models.StoredPage)
            .values(video_id=video_id, **values)
            .on_conflict_do_update(
                index_elements=[models.StoredPage.video_id],
                set_={**values, "updated_at": func.now()},
            )
        )
    return url


def _page_row(session: Session, partition: Partition) -> Row[str, str] | None:
    """Address and fingerprint of a video's page."""
    return session.execute(
        select(models.StoredPage.cloud_url, models.StoredPage.fingerprint)
        .join(models.Video, models.Video.id == models.StoredPage.video_id)
        .where(models.Video.identifier == partition.key)
    ).one_or_none()


def _contents(store: ObjectStore, stored: StoredVideo) -> PageContents:
    addresses = {moment: _beside(store, clip.cloud_url) for moment, clip in stored.clips.items()}
    return PageContents(
        replace(stored, refined=()),
        video_address=_beside(store, stored.video.cloud_url),
        clip_addresses={moment: one for moment, one in addresses.items() if one is not None},
    )


def _beside(store: ObjectStore, url: str) -> Address | None:
    """Address an object from where pages lie; None for one that is not in this store."""
    if not url.startswith(f"{store.root_url}/"):
        return None
    # A key has three segments, a page's too, and nothing that an address would have to encode.
    return relative_address(["..", "..", *url.split("/")[-3:]])


def _stored(store: ObjectStore, page: str, video: str) -> str:
    content = page.encode()
    with NamedTemporaryFile(prefix="videomoments-page-", suffix=".html") as file:
        file.write(content)
        file.flush()
        return store.put_file(
            Path(file.name),
            key=page_key(video, hashlib.sha256(content).hexdigest()),
            content_type="text/html; charset=utf-8",
        ).url
