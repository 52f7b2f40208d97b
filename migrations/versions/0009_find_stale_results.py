"""Remember what results are made from, so that those that are out of date can be found.

Revision: 0009
Revises: 0008

Of older results nobody knows what they were made from. Those that were written after everything
that they depend on count as made from it; a result that is older than one of those is out of date,
by the code version `unknown`, until a run has made it again or found that nothing changed. Whatever
is written anew from now on makes the older results that depend on it out of date too.

On a live database: each row is written once, and two indexes are made, some seconds for a million
rows, while writers wait. A process of the previous release goes on working, and remembers nothing
of this.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TABLE = "materialisations"
_NOTHING = sa.text("'{}'::jsonb")
_FINGERPRINT = "SHA-256 over inputs, settings and code version; empty for a partial result"

# Asset, the part of another one's result that it depends on, and whose that is.
_DEPENDS_ON = """
    VALUES ('transcript', 'video.content', 'video'),
           ('generation_config', 'transcript.all', 'transcript'),
           ('moments', 'video.duration', 'video'),
           ('moments', 'transcript.all', 'transcript'),
           ('moments', 'generation_config.finding', 'generation_config'),
           ('refined_moments', 'video.content', 'video'),
           ('refined_moments', 'transcript.all', 'transcript'),
           ('refined_moments', 'generation_config.refining', 'generation_config'),
           ('refined_moments', 'moments.titles', 'moments'),
           ('clips', 'video.content', 'video'),
           ('clips', 'moments.places', 'moments'),
           ('thumbnails', 'video.address', 'video'),
           ('thumbnails', 'clips.all', 'clips')
"""
_KNOWN_BY_NAME = f"""
UPDATE pipeline.materialisations AS made SET inputs = known.inputs
FROM (
    SELECT asset, jsonb_object_agg(part, '') AS inputs
    FROM ({_DEPENDS_ON}) AS d (asset, part, upstream) GROUP BY asset
) AS known
WHERE made.system = 'moments' AND made.asset = known.asset
"""  # noqa: S608
_OLDER = f"""
UPDATE pipeline.materialisations AS made SET code_version = 'unknown'
WHERE system = 'moments' AND EXISTS (
    SELECT FROM ({_DEPENDS_ON}) AS d (asset, part, upstream)
    JOIN pipeline.materialisations AS other
    ON other.system = made.system AND other.partition_key = made.partition_key
       AND other.asset = d.upstream
    WHERE d.asset = made.asset AND other.updated_at > made.updated_at
)
"""  # noqa: S608

# A result of which a row is gone is there in part, whoever deleted it: its own asset writes the
# fingerprint again, in the same transaction. BEFORE, since a clip's thumbnail is looked up by it.
# Foreign keys cascade after the row is gone: then the owner's trigger has seen to it already.
_LOST = """
CREATE FUNCTION pipeline.note_lost_rows() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    lost text[] := TG_ARGV;
    of_video integer := (to_jsonb(OLD) ->> 'video_id')::integer;
BEGIN
    IF TG_TABLE_NAME = 'moments' THEN
        IF OLD.is_refined THEN
            lost := ARRAY['refined_moments'];
        ELSIF EXISTS (SELECT FROM public.moments WHERE parent_id = OLD.id) THEN
            lost := lost || 'refined_moments'::text;
        END IF;
    ELSIF TG_TABLE_NAME = 'clips' THEN
        IF EXISTS (SELECT FROM public.thumbnails WHERE clip_id = OLD.id) THEN
            lost := lost || 'thumbnails'::text;
        END IF;
    ELSIF TG_TABLE_NAME = 'thumbnails' AND of_video IS NULL THEN
        of_video := (SELECT video_id FROM public.clips WHERE id = OLD.clip_id);
    END IF;
    UPDATE pipeline.materialisations AS made SET fingerprint = ''
    FROM public.videos
    WHERE videos.id = of_video AND made.system = 'moments'
      AND made.partition_key = videos.identifier AND made.asset = ANY (lost)
      AND made.fingerprint <> '';
    RETURN OLD;
END
$$
"""
_LOSING = {
    "transcripts": "transcript",
    "pipeline.selected_configs": "generation_config",
    "moments": "moments",
    "clips": "clips",
    "thumbnails": "thumbnails",
}


def upgrade() -> None:
    """Apply it."""
    for column in _columns():
        op.add_column(_TABLE, column, schema="pipeline")
    _comment_on_fingerprint(f"{_FINGERPRINT}, and for one of which rows were deleted")
    op.execute(_KNOWN_BY_NAME)
    op.execute(_OLDER)
    op.create_index(
        "idx_materialisations_stale",
        _TABLE,
        ["system", "partition_key"],
        schema="pipeline",
        postgresql_where=sa.text("is_stale"),
    )
    op.create_index(
        "idx_materialisations_code_version",
        _TABLE,
        ["system", "asset", "code_version", "partition_key"],
        schema="pipeline",
    )
    op.execute(_LOST)
    for table, asset in _LOSING.items():
        op.execute(
            f"CREATE TRIGGER note_lost_rows BEFORE DELETE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION pipeline.note_lost_rows('{asset}')"
        )


def downgrade() -> None:
    """Take it back: results that are out of date are no longer found."""
    for table in _LOSING:
        op.execute(f"DROP TRIGGER note_lost_rows ON {table}")
    op.execute("DROP FUNCTION pipeline.note_lost_rows()")
    for index in ("idx_materialisations_code_version", "idx_materialisations_stale"):
        op.drop_index(index, _TABLE, schema="pipeline")
    for column in reversed(_columns()):
        op.drop_column(_TABLE, column.name, schema="pipeline")
    _comment_on_fingerprint(_FINGERPRINT)


def _columns() -> list[sa.Column[Any]]:
    return [
        sa.Column(
            "parts",
            postgresql.JSONB(),
            server_default=_NOTHING,
            nullable=False,
            comment="Content hash of each part that others depend on, by asset and part; empty for "
            "a result from before they were remembered",
        ),
        sa.Column(
            "inputs",
            postgresql.JSONB(),
            server_default=_NOTHING,
            nullable=False,
            comment="The parts of other results that it was made from",
        ),
        sa.Column(
            "is_stale",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Whether one of its inputs is another one by now",
        ),
        sa.Column(
            "code_version",
            sa.String(100),
            server_default="",
            nullable=False,
            comment="Of the asset that made it; empty where nobody knows",
        ),
    ]


def _comment_on_fingerprint(comment: str) -> None:
    op.alter_column(_TABLE, "fingerprint", comment=comment, schema="pipeline")
