"""${message}

Revision: ${up_revision}
Revises: ${down_revision | comma,n}
Created: ${create_date}

Before you run this on a live database:

- The previous release keeps running against the new schema while the new one starts. Columns and
  tables that it reads or writes must stay: add now, fill, switch the code, and drop in a later
  release. A new column needs a default or must allow null.
- A statement that waits for a lock blocks everybody behind it and is cancelled after 5 seconds;
  one that runs longer than 10 minutes is cancelled as well. Fill large tables in batches.
- An index on a table with rows: `op.create_index(..., postgresql_concurrently=True)` inside
  `with op.get_context().autocommit_block():`, alone in its migration.
- A constraint on a table with rows: add it NOT VALID, and VALIDATE it in the next migration.
"""

from __future__ import annotations

from alembic import op
import sqlalchemy as sa
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """Apply it."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Take it back."""
    ${downgrades if downgrades else "pass"}
