"""Which objects rows refer to.

Belongs here: every column that holds the address of an object. Does not belong here: the objects.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select, union_all
from sqlalchemy.orm import Session

from db.models.moments.clip import Clip
from db.models.moments.thumbnail import Thumbnail
from db.models.moments.video import Video
from db.models.pipeline.stored_page import StoredPage

_ADDRESSES = (Video.cloud_url, Clip.cloud_url, Thumbnail.cloud_url, StoredPage.cloud_url)


def referenced_urls(session: Session) -> set[str]:
    """Addresses of all objects that a row refers to."""
    return set(session.scalars(union_all(*map(select, _ADDRESSES))))


def referenced_urls_of(session: Session, urls: Collection[str]) -> set[str]:
    """Those of some addresses that a row refers to."""
    return set(
        session.scalars(
            union_all(*(select(column).where(column.in_(urls)) for column in _ADDRESSES))
        )
    )


def stored_videos(session: Session) -> set[str]:
    """Identifiers of all videos that have a row."""
    return set(session.scalars(select(Video.identifier)))
