"""Poolers before the database: whose sessions are whole, and what is said of the others."""

from __future__ import annotations

import pytest
from poolers import pooled
from sqlalchemy import text

from db.errors import DatabaseRefused
from db.poolers import check_sessions_are_whole
from db.run_claims import RunClaim, partition_to_oneself
from db.schema_state import upgrade
from db.session import Database
from db.urls import normalised

TALK = {"system": "moments", "partition": "talk"}


def test_the_server_itself_and_a_pooler_in_session_mode_will_do(database_url: str) -> None:
    check_sessions_are_whole(normalised(database_url))
    with pooled(database_url, "session") as url:
        claim = RunClaim(url, run_id="run-1", **TALK)
        claim.take(wait_seconds=0, log=print)
        claim.release()


@pytest.mark.parametrize("connections", [1, 4])
def test_a_pooler_that_shares_sessions_is_refused_by_the_first_claim(
    database_url: str, connections: int
) -> None:
    with pooled(database_url, "transaction", connections=connections) as url:
        for _ in range(2):
            with pytest.raises(DatabaseRefused, match="transaction mode") as caught:
                RunClaim(url, run_id="run-1", **TALK).take(wait_seconds=0, log=print)
        assert "pool_mode = session" in caught.value.remedy
        with pytest.raises(DatabaseRefused, match="transaction mode"):
            upgrade(url)
        database = Database(url)
        with (
            pytest.raises(DatabaseRefused, match="transaction mode"),
            partition_to_oneself(database, **TALK),
        ):
            pass
        database.dispose()


def test_a_pooler_is_found_out_while_others_are_at_work(database_url: str) -> None:
    with pooled(database_url, "transaction") as url:
        others = Database(url)
        # A transaction that is open keeps a connection of the pooler's to itself.
        with others.transaction() as one, others.transaction() as another:
            for session in (one, another):
                session.execute(text("SELECT 1"))
            with pytest.raises(DatabaseRefused, match="transaction mode"):
                check_sessions_are_whole(normalised(url))
        others.dispose()


def test_a_refused_pooler_keeps_no_lock(database_url: str) -> None:
    with pooled(database_url, "transaction") as url, pytest.raises(DatabaseRefused):
        RunClaim(url, run_id="run-1", **TALK).take(wait_seconds=0, log=print)
    database = Database(database_url)
    with partition_to_oneself(database, **TALK) as free:
        assert free
    database.dispose()
