"""What each stored clip and thumbnail was made from: `pipeline.object_origins`.

An object's fingerprint tells whether it has to be made again: a clip cut with other padding,
say, or a thumbnail of a clip that was replaced.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db import models


def note_origin(
    session: Session, *, url: str, fingerprint: str, details: Mapping[str, object]
) -> None:
    """Note what the object at `url` was made from."""
    values = {"fingerprint": fingerprint, "details": dict(details)}
    session.execute(
        insert(models.ObjectOrigin)
        .values(url=url, **values)
        .on_conflict_do_update(index_elements=[models.ObjectOrigin.url], set_=values)
    )


def origins(session: Session, urls: list[str]) -> dict[str, models.ObjectOrigin]:
    """What those of `urls` were made from of which that is known, by address."""
    rows = session.scalars(select(models.ObjectOrigin).where(models.ObjectOrigin.url.in_(urls)))
    return {row.url: row for row in rows}


def fingerprints(session: Session, urls: list[str]) -> dict[str, str]:
    """Fingerprints of those of `urls` that have one."""
    return {url: origin.fingerprint for url, origin in origins(session, urls).items()}
