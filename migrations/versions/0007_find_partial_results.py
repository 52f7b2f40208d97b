"""Index the results that are there in part, so that those that are whole need not be read for it.

Revision: 0007
Revises: 0006

On a live database: the index is nearly empty and made within a second, while writers wait.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply it."""
    op.create_index(
        "idx_materialisations_partial",
        "materialisations",
        ["video_id"],
        schema="pipeline",
        postgresql_where=sa.text("fingerprint = ''"),
    )


def downgrade() -> None:
    """Take it back: looking for unfinished videos reads every row."""
    op.drop_index("idx_materialisations_partial", "materialisations", schema="pipeline")
