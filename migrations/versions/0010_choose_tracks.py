"""Remember which sound and subtitle track of a source somebody chose.

Revision: 0010
Revises: 0009

On a live database: two columns without a default, so no row is written. A process of the previous
release goes on working, and leaves the choice to disposition and content.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_COMMENTS = {
    "audio_track": "Number of the sound track to work on, from 1, where somebody chose one",
    "subtitle_track": "Number of the subtitle track to read, from 1, where somebody chose one",
}


def upgrade() -> None:
    """Apply it."""
    for name, comment in _COMMENTS.items():
        column = sa.Column(name, sa.Integer(), nullable=True, comment=comment)
        op.add_column("sources", column, schema="pipeline")


def downgrade() -> None:
    """Take it back: what was chosen is forgotten."""
    for name in _COMMENTS:
        op.drop_column("sources", name, schema="pipeline")
