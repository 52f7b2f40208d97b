"""Keep language models' answers, and how a video's moments are scored.

Revision: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply it."""
    op.add_column(
        "selected_configs",
        # Null in rows of the release before: extractive scoring, as it was then.
        sa.Column("scoring", postgresql.JSONB(), comment="Model, prompt and sampling of scoring"),
        schema="pipeline",
    )
    op.create_table(
        "kept_answers",
        sa.Column("video_id", sa.Integer(), nullable=False),
        sa.Column(
            "key",
            sa.String(64),
            nullable=False,
            comment="SHA-256 over everything that determines the answer",
        ),
        sa.Column("answer", postgresql.JSONB(), nullable=False, comment="As validated"),
        sa.Column("created_at", sa.DateTime(), nullable=False, comment="When it came, UTC"),
        sa.ForeignKeyConstraint(
            ["video_id"],
            ["videos.id"],
            name=op.f("fk_kept_answers_video_id_videos"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("video_id", "key", name=op.f("pk_kept_answers")),
        schema="pipeline",
    )
    op.create_index(
        "idx_kept_answers_created_at", "kept_answers", ["created_at"], schema="pipeline"
    )


def downgrade() -> None:
    """Take it back: answers are asked for again."""
    op.drop_table("kept_answers", schema="pipeline")
    op.drop_column("selected_configs", "scoring", schema="pipeline")
