"""Key what the pipeline remembers by system and partition instead of by video.

Revision: 0008
Revises: 0007

What is remembered stays as it is, so that a run over old results does nothing. On a live
database: the three tables are rewritten under an exclusive lock, some seconds for a million rows. A
process of the previous release that is still running fails at its next write, and is run again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_PARTIAL = sa.text("fingerprint = ''")

# What is remembered went along with the row of the video by foreign keys. Another system has
# another table, whose migration adds a trigger with its name and that of the key's column. As with
# a foreign key, whoever may delete a video needs no rights on what is remembered of it.
_FORGET = """
CREATE FUNCTION pipeline.forget_partition() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone text := to_jsonb(OLD) ->> TG_ARGV[1];
BEGIN
    DELETE FROM pipeline.materialisations WHERE system = TG_ARGV[0] AND partition_key = gone;
    DELETE FROM pipeline.kept_answers WHERE system = TG_ARGV[0] AND partition_key = gone;
    DELETE FROM pipeline.object_origins WHERE system = TG_ARGV[0] AND partition_key = gone;
    RETURN NULL;
END
$$
"""

_TRIGGER = """
CREATE TRIGGER forget_partition AFTER DELETE ON videos
FOR EACH ROW EXECUTE FUNCTION pipeline.forget_partition('moments', 'identifier')
"""


def upgrade() -> None:
    """Apply it."""
    op.drop_index("idx_materialisations_partial", "materialisations", schema="pipeline")
    for table, rest in (("materialisations", "asset"), ("kept_answers", "key")):
        _add_key(table)
        op.execute(
            f"UPDATE pipeline.{table} AS one SET system = 'moments', partition_key = "  # noqa: S608
            "videos.identifier FROM videos WHERE videos.id = one.video_id"
        )
        _require_key(table)
        op.drop_constraint(f"pk_{table}", table, schema="pipeline")
        op.drop_column(table, "video_id", schema="pipeline")
        op.create_primary_key(
            op.f(f"pk_{table}"), table, ["system", "partition_key", rest], schema="pipeline"
        )
    op.create_index(
        "idx_materialisations_partial",
        "materialisations",
        ["system", "partition_key"],
        schema="pipeline",
        postgresql_where=_PARTIAL,
    )
    _add_key("object_origins")
    # The folder before an object's name is its video, in every key so far.
    op.execute(
        "UPDATE pipeline.object_origins SET system = 'moments', partition_key = "
        "coalesce(left(substring(url FROM '([^/]+)/[^/]+$'), 255), '')"
    )
    _require_key("object_origins")
    op.create_index(
        "idx_object_origins_partition",
        "object_origins",
        ["system", "partition_key"],
        schema="pipeline",
    )
    op.execute(_FORGET)
    op.execute(_TRIGGER)


def downgrade() -> None:
    """Take it back: what is remembered of other systems is lost."""
    op.execute("DROP TRIGGER forget_partition ON videos")
    op.execute("DROP FUNCTION pipeline.forget_partition()")
    op.drop_index("idx_object_origins_partition", "object_origins", schema="pipeline")
    op.drop_index("idx_materialisations_partial", "materialisations", schema="pipeline")
    for table in ("materialisations", "kept_answers"):
        rest = "asset" if table == "materialisations" else "key"
        op.add_column(table, sa.Column("video_id", sa.Integer()), schema="pipeline")
        op.execute(
            f"UPDATE pipeline.{table} AS one SET video_id = videos.id FROM videos "  # noqa: S608
            "WHERE one.system = 'moments' AND videos.identifier = one.partition_key"
        )
        op.execute(f"DELETE FROM pipeline.{table} WHERE video_id IS NULL")  # noqa: S608
        op.drop_constraint(f"pk_{table}", table, schema="pipeline")
        op.create_primary_key(op.f(f"pk_{table}"), table, ["video_id", rest], schema="pipeline")
        op.create_foreign_key(
            op.f(f"fk_{table}_video_id_videos"),
            table,
            "videos",
            ["video_id"],
            ["id"],
            source_schema="pipeline",
            ondelete="CASCADE",
        )
    for table in ("materialisations", "kept_answers", "object_origins"):
        op.drop_column(table, "partition_key", schema="pipeline")
        op.drop_column(table, "system", schema="pipeline")
    op.create_index(
        "idx_materialisations_partial",
        "materialisations",
        ["video_id"],
        schema="pipeline",
        postgresql_where=_PARTIAL,
    )


def _add_key(table: str) -> None:
    op.add_column(table, sa.Column("system", sa.String(30)), schema="pipeline")
    op.add_column(table, sa.Column("partition_key", sa.String(255)), schema="pipeline")


def _require_key(table: str) -> None:
    op.alter_column(table, "system", nullable=False, schema="pipeline")
    op.alter_column(table, "partition_key", nullable=False, schema="pipeline")
