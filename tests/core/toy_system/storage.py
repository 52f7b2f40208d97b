"""Rows and objects of both assets."""

from dataclasses import dataclass
from pathlib import Path

from core.toy_system.table import Postcard
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from videomoments_dagster.base.files import content_hash
from videomoments_dagster.base.fingerprints import digest
from videomoments_dagster.core.objects.keys import key_in, short_hash
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.storage import AssetStorage, FileToStore, Uploads


@dataclass(frozen=True)
class Card:
    """A stored card, by the address of its file."""

    cloud_url: str


class GreetingRows(AssetStorage[str, str]):
    """A greeting is a column."""

    name = "greeting"

    def write(self, session: Session, partition: Partition, made: str, uploads: Uploads) -> str:
        session.execute(
            insert(Postcard)
            .values(city=partition.key, greeting=made)
            .on_conflict_do_update(index_elements=["city"], set_={"greeting": made})
        )
        return made

    def read(self, session: Session, partition: Partition) -> str | None:
        row = session.get(Postcard, partition.key)
        return row.greeting if row else None

    def version(self, stored: str) -> str:
        return digest(stored)


class CardFiles(AssetStorage[Path, Card]):
    """A card is an object, and a column with its address."""

    name = "card"
    addresses = (Postcard.cloud_url,)

    def files(self, partition: Partition, made: Path) -> list[FileToStore]:
        name = f"{short_hash(content_hash(made))}.txt"
        return [FileToStore(made, key_in("postcards/cards", partition.key, name), "text/plain")]

    def write(self, session: Session, partition: Partition, made: Path, uploads: Uploads) -> None:
        session.get_one(Postcard, partition.key).cloud_url = uploads[made].url
        session.flush()

    def read(self, session: Session, partition: Partition) -> Card | None:
        row = session.get(Postcard, partition.key)
        return Card(row.cloud_url) if row and row.cloud_url else None

    def version(self, stored: Card) -> str:
        return digest(stored.cloud_url)

    def object_urls(self, stored: Card) -> tuple[str, ...]:
        return (stored.cloud_url,)
