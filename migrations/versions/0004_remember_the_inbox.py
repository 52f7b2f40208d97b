"""Remember what came in by itself, so that nothing comes in twice.

Revision: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply it."""
    op.create_table(
        "inbox_entries",
        sa.Column("key", sa.String(64), nullable=False, comment="SHA-256 of the location"),
        sa.Column(
            "location", sa.Text(), nullable=False, comment="Absolute path or URL, or manifest line"
        ),
        sa.Column(
            "state",
            sa.String(100),
            nullable=False,
            comment="Size and time, or generation: changes with the bytes",
        ),
        sa.Column("size_bytes", sa.BigInteger()),
        sa.Column("checksum", sa.String(100), comment="With the name of its kind"),
        sa.Column(
            "outcome",
            sa.String(20),
            nullable=False,
            comment="`registered`, `duplicate` or `rejected`",
        ),
        sa.Column(
            "identifier",
            sa.String(255),
            comment="The video it became, or that it is a duplicate of",
        ),
        sa.Column("reason", sa.Text(), comment="Why it was rejected"),
        sa.Column(
            "requested_at",
            sa.DateTime(),
            comment="When its run was seen in Dagster, UTC; null until then",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(),
            server_default=sa.func.now(),
            comment="When the row was made, UTC",
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_inbox_entries")),
        schema="pipeline",
    )
    op.create_index("idx_inbox_entries_size", "inbox_entries", ["size_bytes"], schema="pipeline")
    op.create_index("idx_inbox_entries_checksum", "inbox_entries", ["checksum"], schema="pipeline")
    op.create_index(
        "idx_inbox_entries_waiting",
        "inbox_entries",
        ["created_at"],
        schema="pipeline",
        postgresql_where=sa.text("outcome = 'registered' AND requested_at IS NULL"),
    )


def downgrade() -> None:
    """Take it back: what lies in the inbox is new again, and recognised by its source."""
    op.drop_table("inbox_entries", schema="pipeline")
