"""Create the eight documented tables.

Revision: 0001
Revises: nothing
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply it."""
    create_videos()
    create_transcripts()
    create_prompts()
    create_generation_configs()
    create_moments()
    create_clips()
    create_thumbnails()
    create_pipeline_history()


def downgrade() -> None:
    """Take it back, with all data."""
    op.drop_table("pipeline_history")
    op.drop_table("thumbnails")
    op.drop_table("clips")
    op.drop_table("moments")
    op.drop_table("generation_configs")
    op.drop_table("prompts")
    op.drop_table("transcripts")
    op.drop_table("videos")


def created_at() -> sa.Column[object]:
    return sa.Column(
        "created_at",
        sa.DateTime(),
        server_default=sa.text("now()"),
        comment="When the row was made, UTC",
    )


def create_videos() -> None:
    op.create_table(
        "videos",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column(
            "identifier",
            sa.String(255),
            nullable=False,
            comment="Business identifier; the partition key",
        ),
        sa.Column(
            "source_url",
            sa.Text(),
            comment="Where the bytes came from: a URL or an absolute local path",
        ),
        sa.Column("cloud_url", sa.Text(), nullable=False, comment="Where the bytes are"),
        sa.Column("title", sa.String(500), comment="Human-readable title"),
        sa.Column("duration_seconds", sa.Float(), comment="Presented duration, seconds"),
        sa.Column("file_size_kb", sa.BigInteger(), comment="File size, kilobytes"),
        sa.Column("video_codec", sa.String(50), comment="Such as h264"),
        sa.Column("audio_codec", sa.String(50), comment="Such as aac"),
        sa.Column(
            "resolution", sa.String(20), comment="Width x height as presented, rotation applied"
        ),
        sa.Column("frame_rate", sa.Float(), comment="Frames per second"),
        created_at(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_videos")),
        sa.UniqueConstraint("identifier", name="idx_videos_identifier"),
    )
    op.create_index("idx_videos_created_at", "videos", ["created_at"])
    op.create_index("idx_videos_source_url", "videos", ["source_url"])


def create_transcripts() -> None:
    op.create_table(
        "transcripts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("video_id", sa.Integer(), nullable=False),
        sa.Column(
            "full_text", sa.Text(), nullable=False, comment="All segments joined by single spaces"
        ),
        sa.Column(
            "word_timestamps",
            postgresql.JSONB(),
            nullable=False,
            comment="Array of {word, start, end}, seconds of the presented timeline",
        ),
        sa.Column(
            "segment_timestamps",
            postgresql.JSONB(),
            nullable=False,
            comment="Array of {text, start, end}, seconds of the presented timeline",
        ),
        sa.Column(
            "language", sa.String(10), server_default=sa.text("'en'"), comment="ISO 639-1 code"
        ),
        sa.Column("number_of_words", sa.Integer()),
        sa.Column("number_of_segments", sa.Integer()),
        sa.Column("transcription_service", sa.String(50), comment="Engine and model"),
        sa.Column(
            "processing_time_seconds", sa.Float(), comment="Wall-clock time of the engine, seconds"
        ),
        created_at(),
        sa.ForeignKeyConstraint(
            ["video_id"],
            ["videos.id"],
            name=op.f("fk_transcripts_video_id_videos"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transcripts")),
        sa.UniqueConstraint("video_id", name="idx_transcripts_video_id"),
    )
    op.create_index(
        "idx_transcripts_full_text",
        "transcripts",
        [sa.text("to_tsvector('english'::regconfig, full_text)")],
        postgresql_using="gin",
    )


def create_prompts() -> None:
    op.create_table(
        "prompts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_prompt", sa.Text(), nullable=False),
        sa.Column("system_prompt", sa.Text(), nullable=False),
        sa.Column(
            "prompt_hash",
            sa.String(64),
            nullable=False,
            comment="SHA-256 over both prompts, hexadecimal",
        ),
        created_at(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompts")),
        sa.UniqueConstraint("prompt_hash", name="idx_prompts_hash"),
    )


def create_generation_configs() -> None:
    op.create_table(
        "generation_configs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("prompt_id", sa.Integer(), nullable=False),
        sa.Column(
            "transcript_id",
            sa.Integer(),
            comment="Transcript of one video that uses this; repointed before that one is deleted",
        ),
        sa.Column("model", sa.String(100), nullable=False, comment="Engine or model"),
        sa.Column(
            "operation_type", sa.String(50), nullable=False, comment="generation or refinement"
        ),
        sa.Column("temperature", sa.Float(), comment="0.0 to 2.0"),
        sa.Column("top_p", sa.Float()),
        sa.Column("top_k", sa.Integer()),
        sa.Column("min_moment_length", sa.Float(), comment="Seconds"),
        sa.Column("max_moment_length", sa.Float(), comment="Seconds"),
        sa.Column("min_moments", sa.Integer()),
        sa.Column("max_moments", sa.Integer()),
        sa.Column(
            "config_hash",
            sa.String(64),
            nullable=False,
            comment="SHA-256 over all of the above but transcript_id, hexadecimal",
        ),
        created_at(),
        sa.ForeignKeyConstraint(
            ["prompt_id"],
            ["prompts.id"],
            name=op.f("fk_generation_configs_prompt_id_prompts"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["transcript_id"],
            ["transcripts.id"],
            name=op.f("fk_generation_configs_transcript_id_transcripts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_generation_configs")),
        sa.UniqueConstraint("config_hash", name="idx_generation_configs_hash"),
    )
    op.create_index("idx_generation_configs_model", "generation_configs", ["model"])
    op.create_index("idx_generation_configs_operation", "generation_configs", ["operation_type"])
    op.create_index("idx_generation_configs_prompt_id", "generation_configs", ["prompt_id"])
    op.create_index("idx_generation_configs_transcript_id", "generation_configs", ["transcript_id"])


def create_moments() -> None:
    op.create_table(
        "moments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column(
            "identifier",
            sa.String(20),
            nullable=False,
            comment="Business identifier, derived from what the moment is",
        ),
        sa.Column("video_id", sa.Integer(), nullable=False),
        sa.Column(
            "start_time", sa.Float(), nullable=False, comment="Seconds of the presented timeline"
        ),
        sa.Column(
            "end_time", sa.Float(), nullable=False, comment="Seconds of the presented timeline"
        ),
        sa.Column("title", sa.String(500), nullable=False),
        sa.Column("is_refined", sa.Boolean(), server_default=sa.text("false")),
        sa.Column("parent_id", sa.Integer(), comment="Root moment that this one refines"),
        sa.Column("generation_model", sa.String(100), comment="Engine or model that found it"),
        sa.Column("generation_config_id", sa.Integer()),
        sa.Column("score", sa.Integer(), comment="0 (dull) to 10 (best); null before scoring"),
        sa.Column("scoring_model", sa.String(100)),
        sa.Column("scored_at", sa.DateTime(), comment="UTC"),
        created_at(),
        sa.Column(
            "updated_at",
            sa.DateTime(),
            server_default=sa.text("now()"),
            comment="When the row was last changed, UTC",
        ),
        sa.CheckConstraint("end_time > start_time", name=op.f("ck_moments_end_after_start")),
        sa.CheckConstraint("score >= 0 AND score <= 10", name=op.f("ck_moments_score_range")),
        sa.ForeignKeyConstraint(
            ["generation_config_id"],
            ["generation_configs.id"],
            name=op.f("fk_moments_generation_config_id_generation_configs"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"],
            ["moments.id"],
            name=op.f("fk_moments_parent_id_moments"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["video_id"], ["videos.id"], name=op.f("fk_moments_video_id_videos"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_moments")),
        sa.UniqueConstraint("identifier", name="idx_moments_identifier"),
    )
    op.create_index("idx_moments_is_refined", "moments", ["is_refined"])
    op.create_index("idx_moments_parent_id", "moments", ["parent_id"])
    op.create_index(
        "idx_moments_score", "moments", ["score"], postgresql_where=sa.text("score IS NOT NULL")
    )
    op.create_index("idx_moments_timestamps", "moments", ["start_time", "end_time"])
    op.create_index("idx_moments_video_id", "moments", ["video_id"])


def create_clips() -> None:
    op.create_table(
        "clips",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column(
            "moment_id", sa.Integer(), nullable=False, comment="Root moment, never a refined one"
        ),
        sa.Column("video_id", sa.Integer(), nullable=False),
        sa.Column("cloud_url", sa.Text(), nullable=False, comment="Where the bytes are"),
        sa.Column(
            "start_time",
            sa.Float(),
            nullable=False,
            comment="Seconds of the video's presented timeline, padding included",
        ),
        sa.Column(
            "end_time",
            sa.Float(),
            nullable=False,
            comment="Seconds of the video's presented timeline, padding included",
        ),
        sa.Column(
            "padding_left",
            sa.Float(),
            nullable=False,
            comment="Seconds before the moment that the video had room for",
        ),
        sa.Column(
            "padding_right",
            sa.Float(),
            nullable=False,
            comment="Seconds after the moment that the video had room for",
        ),
        sa.Column("file_size_kb", sa.BigInteger(), comment="File size, kilobytes"),
        sa.Column("format", sa.String(20), comment="Container, such as mp4"),
        sa.Column("video_codec", sa.String(50)),
        sa.Column("audio_codec", sa.String(50)),
        sa.Column("resolution", sa.String(20), comment="Width x height as presented"),
        created_at(),
        sa.CheckConstraint("end_time > start_time", name=op.f("ck_clips_end_after_start")),
        sa.ForeignKeyConstraint(
            ["moment_id"],
            ["moments.id"],
            name=op.f("fk_clips_moment_id_moments"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["video_id"], ["videos.id"], name=op.f("fk_clips_video_id_videos"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clips")),
        sa.UniqueConstraint("moment_id", name="idx_clips_moment_id"),
    )
    op.create_index("idx_clips_video_id", "clips", ["video_id"])


def create_thumbnails() -> None:
    op.create_table(
        "thumbnails",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("video_id", sa.Integer()),
        sa.Column("clip_id", sa.Integer()),
        sa.Column("cloud_url", sa.Text(), nullable=False, comment="Where the bytes are"),
        sa.Column("file_size_kb", sa.BigInteger(), comment="File size, kilobytes"),
        created_at(),
        sa.CheckConstraint(
            "(video_id IS NOT NULL AND clip_id IS NULL)"
            " OR (video_id IS NULL AND clip_id IS NOT NULL)",
            name=op.f("ck_thumbnails_one_owner"),
        ),
        sa.ForeignKeyConstraint(
            ["clip_id"], ["clips.id"], name=op.f("fk_thumbnails_clip_id_clips"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["video_id"],
            ["videos.id"],
            name=op.f("fk_thumbnails_video_id_videos"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_thumbnails")),
    )
    op.create_index("idx_thumbnails_clip_id", "thumbnails", ["clip_id"])
    op.create_index(
        "idx_thumbnails_clip_id_unique",
        "thumbnails",
        ["clip_id"],
        unique=True,
        postgresql_where=sa.text("clip_id IS NOT NULL"),
    )
    op.create_index("idx_thumbnails_video_id", "thumbnails", ["video_id"])
    op.create_index(
        "idx_thumbnails_video_id_unique",
        "thumbnails",
        ["video_id"],
        unique=True,
        postgresql_where=sa.text("video_id IS NOT NULL"),
    )


def create_pipeline_history() -> None:
    op.create_table(
        "pipeline_history",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column(
            "identifier",
            sa.String(100),
            nullable=False,
            comment="pipeline:<video>:<epoch milliseconds>, also a tag of the run",
        ),
        sa.Column("video_id", sa.Integer(), nullable=False),
        sa.Column("generation_config_id", sa.Integer(), nullable=False),
        sa.Column(
            "pipeline_type",
            sa.String(50),
            nullable=False,
            comment="full, moments_only, clips_only, ...",
        ),
        sa.Column(
            "status", sa.String(20), nullable=False, comment="running, completed, failed or partial"
        ),
        sa.Column("started_at", sa.DateTime(), nullable=False, comment="UTC"),
        sa.Column("completed_at", sa.DateTime(), comment="UTC"),
        sa.Column("duration_seconds", sa.Float()),
        sa.Column("total_moments_generated", sa.Integer()),
        sa.Column("total_clips_created", sa.Integer()),
        sa.Column("error_stage", sa.String(50), comment="Asset that failed"),
        sa.Column("error_message", sa.Text()),
        created_at(),
        sa.ForeignKeyConstraint(
            ["generation_config_id"],
            ["generation_configs.id"],
            name=op.f("fk_pipeline_history_generation_config_id_generation_configs"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["video_id"],
            ["videos.id"],
            name=op.f("fk_pipeline_history_video_id_videos"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pipeline_history")),
        sa.UniqueConstraint("identifier", name="idx_pipeline_history_identifier"),
    )
    op.create_index("idx_pipeline_history_config_id", "pipeline_history", ["generation_config_id"])
    op.create_index("idx_pipeline_history_started_at", "pipeline_history", ["started_at"])
    op.create_index("idx_pipeline_history_status", "pipeline_history", ["status"])
    op.create_index("idx_pipeline_history_video_id", "pipeline_history", ["video_id"])
