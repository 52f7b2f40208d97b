"""The table `postcards.postcards`; its migration would run `CREATE`."""

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Apart from the product's own, which its migrations must amount to."""

    metadata = MetaData(schema="postcards")


class Postcard(Base):
    """What is written on the card of a city, and where the card is."""

    __tablename__ = "postcards"

    city: Mapped[str] = mapped_column(primary_key=True)
    greeting: Mapped[str]
    cloud_url: Mapped[str | None]


CREATE = """
CREATE SCHEMA postcards;
CREATE TABLE postcards.postcards (
    city varchar PRIMARY KEY, greeting varchar NOT NULL, cloud_url varchar
);
CREATE TRIGGER forget_partition AFTER DELETE ON postcards.postcards
FOR EACH ROW EXECUTE FUNCTION pipeline.forget_partition('postcards', 'city')
"""
