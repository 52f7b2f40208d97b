"""Databases outside of their home that no home leads to any more.

Whether a home is gone for good cannot be seen: it may have been moved, or its disk may not be
mounted. So they are named, and each is removed only when somebody asks for that one.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from db.embedded.placement import existing_state, folders_outside, placement_of, recorded_home
from db.embedded.postmaster import Postmaster
from db.embedded.server import LockFile, alone
from db.errors import EmbeddedServerFailed

_NAME = re.compile(r"^videomoments-[0-9a-f]{16}$")
_TURN_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A database that no home leads to.

    Attributes:
        state: Folder of all of it.
        home: The home that it was made for; None where that is not recorded.
        why: Why it may be abandoned, as the end of a sentence about it.
    """

    state: Path
    home: Path | None
    why: str


def abandoned_databases() -> list[Abandoned]:
    """Give the databases of the calling user, outside of their homes, that no home leads to."""
    states = (one for parent in folders_outside() for one in sorted(parent.glob("videomoments-*")))
    return [found for state in states if _is_ours(state) and (found := _abandoned(state))]


def remove_abandoned(state: Path) -> None:
    """Remove a database that no home leads to, stopping its server if that was left running.

    Args:
        state: Its folder, as `abandoned_databases` gives it.

    Raises:
        EmbeddedServerFailed: It is not such a database, is in use, or cannot be removed.
    """
    if state.parent not in folders_outside() or not _is_ours(state):
        raise EmbeddedServerFailed(
            f"{state} is not the folder of a database outside of its home",
            remedy="`videomoments gc` names those whose home is gone",
        )
    try:
        placement = placement_of(state)
        with alone(placement, timeout_seconds=_TURN_SECONDS):
            if not _abandoned(state):
                home = recorded_home(state)
                raise EmbeddedServerFailed(
                    f"The embedded database in {state} is that of {home}, which is there",
                    remedy=f"Remove {home} first",
                )
            with closing(LockFile(state / "users.lock")) as use:
                server = Postmaster(placement, durable=True)
                if not use.try_exclusive() or not server.stop():
                    raise EmbeddedServerFailed(
                        f"The embedded database in {state} is in use",
                        remedy="End what uses it, and try again",
                    )
                if not placement.sockets.is_relative_to(state):
                    shutil.rmtree(placement.sockets)
                shutil.rmtree(state)
    except OSError as error:
        raise EmbeddedServerFailed(f"{state} cannot be removed: {error.strerror}") from error


def _is_ours(state: Path) -> bool:
    try:
        facts = state.lstat()
    except FileNotFoundError:
        return False
    is_own_folder = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid()
    return is_own_folder and bool(_NAME.match(state.name))


def _abandoned(state: Path) -> Abandoned | None:
    home = recorded_home(state)
    if home is None:
        why = "an earlier release made it for a home that has not been used since"
    elif existing_state(home) == state:
        return None
    elif home.exists():
        why = f"its home {home} has another database"
    else:
        why = f"its home {home} is not there: removed, moved, or on a disk that is not mounted"
    return Abandoned(state=state, home=home, why=why)
