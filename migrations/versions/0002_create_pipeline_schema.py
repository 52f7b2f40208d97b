"""Create the project's own tables, in their own schema, and the guard of shared configs.

Revision: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# A config is shared by all videos that use it, and names the transcript of one of them with ON
# DELETE CASCADE. Before that transcript goes, with its video or alone, the config is handed to
# another video that uses it, or to none; so the cascade finds nothing, and neither moments nor
# history of other videos are lost. SKIP LOCKED passes over transcripts that are being deleted by
# somebody else at this moment, which could neither be named nor waited for without a deadlock.
DETACH_SHARED_CONFIGS = """
CREATE FUNCTION pipeline.detach_shared_configs() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE public.generation_configs AS config
    SET transcript_id = (
        SELECT other.id
        FROM public.transcripts AS other
        JOIN pipeline.selected_configs AS selected ON selected.video_id = other.video_id
        WHERE other.id <> OLD.id
          AND config.id IN (selected.generation_config_id, selected.refinement_config_id)
        ORDER BY other.id
        LIMIT 1
        FOR KEY SHARE OF other SKIP LOCKED
    )
    WHERE config.transcript_id = OLD.id;
    RETURN OLD;
END
$$
"""

DETACH_BEFORE_DELETE = """
CREATE TRIGGER detach_shared_configs
BEFORE DELETE ON public.transcripts
FOR EACH ROW EXECUTE FUNCTION pipeline.detach_shared_configs()
"""


def upgrade() -> None:
    """Apply it."""
    op.execute("CREATE SCHEMA pipeline")
    create_sources()
    create_materialisations()
    create_selected_configs()
    create_object_origins()
    create_video_files()
    op.execute(DETACH_SHARED_CONFIGS)
    op.execute(DETACH_BEFORE_DELETE)


def downgrade() -> None:
    """Take it back, with all data of these tables."""
    op.execute("DROP TRIGGER detach_shared_configs ON public.transcripts")
    op.execute("DROP FUNCTION pipeline.detach_shared_configs()")
    op.drop_table("video_files", schema="pipeline")
    op.drop_table("object_origins", schema="pipeline")
    op.drop_table("selected_configs", schema="pipeline")
    op.drop_table("materialisations", schema="pipeline")
    op.drop_table("sources", schema="pipeline")
    op.execute("DROP SCHEMA pipeline")


def created_at() -> sa.Column[object]:
    return sa.Column(
        "created_at",
        sa.DateTime(),
        server_default=sa.text("now()"),
        comment="When the row was made, UTC",
    )


def create_sources() -> None:
    op.create_table(
        "sources",
        sa.Column("identifier", sa.String(255), nullable=False, comment="Partition key"),
        sa.Column("location", sa.Text(), nullable=False, comment="A URL or an absolute local path"),
        sa.Column("title", sa.String(500)),
        sa.Column("captions", sa.Text(), comment="URL or absolute path of a caption file"),
        sa.Column(
            "transcription_engine",
            sa.String(50),
            comment="Engine for this video, where it differs from the settings",
        ),
        sa.Column(
            "profile",
            sa.String(100),
            comment="Generation profile for this video, where it differs from the default",
        ),
        created_at(),
        sa.PrimaryKeyConstraint("identifier", name=op.f("pk_sources")),
        schema="pipeline",
    )
    op.create_index(
        "idx_sources_location", "sources", ["location"], schema="pipeline", postgresql_using="hash"
    )


def create_materialisations() -> None:
    op.create_table(
        "materialisations",
        sa.Column("video_id", sa.Integer(), nullable=False),
        sa.Column("asset", sa.String(100), nullable=False),
        sa.Column(
            "fingerprint",
            sa.String(64),
            nullable=False,
            comment="SHA-256 over inputs, settings and code version; empty for a partial result",
        ),
        sa.Column(
            "data_version", sa.String(64), nullable=False, comment="Content hash of the result"
        ),
        sa.Column(
            "details",
            postgresql.JSONB(),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
            comment="Facts shown again when nothing changed",
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(),
            server_default=sa.text("now()"),
            nullable=False,
            comment="UTC",
        ),
        sa.ForeignKeyConstraint(
            ["video_id"],
            ["videos.id"],
            name=op.f("fk_materialisations_video_id_videos"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("video_id", "asset", name=op.f("pk_materialisations")),
        schema="pipeline",
    )


def create_selected_configs() -> None:
    op.create_table(
        "selected_configs",
        sa.Column("video_id", sa.Integer(), nullable=False),
        sa.Column("generation_config_id", sa.Integer(), nullable=False),
        sa.Column("refinement_config_id", sa.Integer(), nullable=False),
        sa.Column("profile", sa.String(100), nullable=False, comment="Profile that they came from"),
        sa.Column(
            "max_shift_seconds",
            sa.Float(),
            nullable=False,
            comment="How far refinement may move a boundary, seconds",
        ),
        sa.ForeignKeyConstraint(
            ["generation_config_id"],
            ["generation_configs.id"],
            name=op.f("fk_selected_configs_generation_config_id_generation_configs"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["refinement_config_id"],
            ["generation_configs.id"],
            name=op.f("fk_selected_configs_refinement_config_id_generation_configs"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["video_id"],
            ["videos.id"],
            name=op.f("fk_selected_configs_video_id_videos"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("video_id", name=op.f("pk_selected_configs")),
        schema="pipeline",
    )
    op.create_index(
        "idx_selected_configs_generation_config_id",
        "selected_configs",
        ["generation_config_id"],
        schema="pipeline",
    )
    op.create_index(
        "idx_selected_configs_refinement_config_id",
        "selected_configs",
        ["refinement_config_id"],
        schema="pipeline",
    )


def create_object_origins() -> None:
    op.create_table(
        "object_origins",
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column(
            "fingerprint",
            sa.String(64),
            nullable=False,
            comment="SHA-256 over what determined the bytes",
        ),
        sa.Column(
            "details", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        created_at(),
        sa.PrimaryKeyConstraint("url", name=op.f("pk_object_origins")),
        schema="pipeline",
    )


def create_video_files() -> None:
    op.create_table(
        "video_files",
        sa.Column("video_id", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False, comment="SHA-256 of the bytes"),
        sa.Column("facts", postgresql.JSONB(), nullable=False, comment="Streams, times and sizes"),
        sa.ForeignKeyConstraint(
            ["video_id"],
            ["videos.id"],
            name=op.f("fk_video_files_video_id_videos"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("video_id", name=op.f("pk_video_files")),
        schema="pipeline",
    )
