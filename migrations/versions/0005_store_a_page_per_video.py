"""Store a page beside each video's clips.

Revision: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply it."""
    op.create_table(
        "pages",
        sa.Column("video_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("cloud_url", sa.Text(), nullable=False, comment="Where the page is"),
        sa.Column(
            "fingerprint",
            sa.String(64),
            nullable=False,
            comment="SHA-256 over what it shows and how; the same needs no new page",
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(),
            server_default=sa.func.now(),
            nullable=False,
            comment="UTC",
        ),
        sa.ForeignKeyConstraint(
            ["video_id"],
            ["videos.id"],
            name=op.f("fk_pages_video_id_videos"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("video_id", name=op.f("pk_pages")),
        schema="pipeline",
    )


def downgrade() -> None:
    """Take it back: stored pages are garbage then, and are made again after the next upgrade."""
    op.drop_table("pages", schema="pipeline")
