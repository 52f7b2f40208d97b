"""Where the embedded server's files lie, and as whom it runs.

PostgreSQL refuses to run as root. For root it runs as `postgres` or `nobody`, and that user must
reach the data; where it cannot (a home under /root), the data lies elsewhere. Its folder there gets
a name made up once, which only the file `location` in the home knows: a home made anew has a new
database. The file `home` in that folder says whose it is. Folders that are not the project's own
are never changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import re
import secrets
import stat
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from db.errors import EmbeddedServerFailed

# A socket's path must fit into sockaddr_un: 108 bytes on Linux, 104 on macOS.
_LONGEST_SOCKET_PATH = 103
SOCKET_NAME = ".s.PGSQL.5432"

# What neither a URL, nor libpq's list of hosts, nor a shell reads as something else.
_PLAIN_PATH = re.compile(r"^/[A-Za-z0-9_./-]+$")

_ROOT = 0

_BECOME = """
import os, sys
user, group, *command = sys.argv[1:]
os.setgroups([])
os.setgid(int(group))
os.setuid(int(user))
os.execv(command[0], command)
"""


@dataclass(frozen=True, slots=True)
class ServerUser:
    """Whom the server runs as.

    Attributes:
        name: Login name, or the id of the calling user.
        uid: User id.
        gid: Primary group id.
        is_caller: Whether that is the calling user, so that no identity must be changed.
    """

    name: str
    uid: int
    gid: int
    is_caller: bool

    def command(self, *command: str | Path) -> list[str]:
        """A command that runs as this user, for whoever may become it.

        Another Python changes the identity: `subprocess` itself, told a user, forks in a way that
        runs the handlers of libraries, and in a process with gRPC's threads, such as Dagster's code
        server, its child crashed every other time.
        """
        program = [str(part) for part in command]
        if self.is_caller:
            return program
        return [sys.executable, "-I", "-S", "-c", _BECOME, str(self.uid), str(self.gid), *program]

    def reaches(self, path: Path) -> bool:
        """Whether this user may pass through every folder down to and including `path`."""
        return all(self._passes(folder) for folder in (path, *path.parents))

    def _passes(self, folder: Path) -> bool:
        facts = folder.stat()
        of_others = stat.S_IXGRP if facts.st_gid == self.gid else stat.S_IXOTH
        return bool(facts.st_mode & (stat.S_IXUSR if facts.st_uid == self.uid else of_others))


@dataclass(frozen=True, slots=True)
class Placement:
    """The server's folders. All exist, but `data` only once it was initialised.

    Attributes:
        state: Folder of all of it; locks and the log lie directly in it.
        sockets: Folder of the Unix socket; short and plain.
        user: Whom the server runs as.
    """

    state: Path
    sockets: Path
    user: ServerUser

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return self.state / "data"

    @property
    def log(self) -> Path:
        """What the server wrote."""
        return self.state / "server.log"


def existing_state(home: Path) -> Path | None:
    """Give the state folder of a home where one was made; nothing is made here."""
    state = _state_elsewhere(home) or home / "postgres"
    return state if state.is_dir() else None


def _state_elsewhere(home: Path) -> Path | None:
    try:
        named = os.fsdecode((home / "postgres" / "location").read_bytes())
    except OSError:
        return None
    return Path(named.removesuffix("\n"))


def place(home: Path) -> Placement:
    """Decide where a home's server lives and make the folders.

    Args:
        home: The project's folder for local state, absolute.

    Raises:
        EmbeddedServerFailed: A folder cannot be made or belongs to somebody else, the one outside
            of the home is gone, or the home is a copy of another.
    """
    home = home.resolve()
    inside = home / "postgres"
    try:
        inside.mkdir(parents=True, exist_ok=True)
        state = _state_elsewhere(home) or inside
        if not (state.is_absolute() and state.is_dir()):
            raise EmbeddedServerFailed(
                f"The embedded database of {home} was in {state}, which is gone",
                remedy=f"Put that folder back, or remove {inside / 'location'} to begin with an"
                " empty database",
            )
        user = _server_user(state / "data")
        if state == inside and not user.is_caller and not (state / "data").exists():
            state = _state_within_reach(inside, user)
        if state != inside:
            _claim(state, home)
        return placement_of(state)
    except OSError as error:
        raise EmbeddedServerFailed(
            f"The embedded database cannot use {inside}: {error.strerror or error}",
            remedy="Set VIDEOMOMENTS_HOME to a folder that you may write to, or set DATABASE_URL",
        ) from error


def placement_of(state: Path) -> Placement:
    """Give the placement of a server by the folder of all of it.

    Raises:
        EmbeddedServerFailed: Somebody else's folder is in the way, or the data is somebody else's.
        OSError: The folder of the socket cannot be made.
    """
    user = _server_user(state / "data")
    return Placement(state=state, sockets=_socket_folder(state, user), user=user)


def folders_outside() -> tuple[Path, ...]:
    """Where the folders of servers lie that are outside of their home, best first."""
    return Path("/var/lib"), Path(tempfile.gettempdir())


def recorded_home(state: Path) -> Path | None:
    """Give the home of a database that lies outside of it; None where nobody has recorded it."""
    try:
        return Path(os.fsdecode((state / "home").read_bytes()))
    except FileNotFoundError:
        return None


def _claim(state: Path, home: Path) -> None:
    """Record whose a database outside of its home is, which a copy of that home must not use."""
    recorded = recorded_home(state)
    if recorded == home:
        return
    if recorded is not None and existing_state(recorded) == state and not recorded.samefile(home):
        raise EmbeddedServerFailed(
            f"The embedded database in {state} is that of {recorded}, and {home} is a copy",
            remedy=f"Remove {home / 'postgres' / 'location'} to begin with an empty database there",
        )
    _write(state / "home", os.fsencode(home))


def _write(path: Path, content: bytes) -> None:
    """Write a file as a whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _server_user(data: Path) -> ServerUser:
    caller = os.geteuid()
    owner = data.stat().st_uid if data.exists() else caller
    if caller != _ROOT:
        if owner != caller:
            raise EmbeddedServerFailed(
                f"The data in {data} belongs to another user (uid {owner})",
                remedy="Run as that user (as root, if root made it), or set VIDEOMOMENTS_HOME",
            )
        return ServerUser(str(caller), caller, os.getegid(), is_caller=True)
    for look_up in (
        partial(pwd.getpwuid, owner),
        partial(pwd.getpwnam, "postgres"),
        partial(pwd.getpwnam, "nobody"),
    ):
        with suppress(KeyError):
            entry = look_up()
            if entry.pw_uid != _ROOT:
                return ServerUser(entry.pw_name, entry.pw_uid, entry.pw_gid, is_caller=False)
    raise EmbeddedServerFailed(
        "PostgreSQL does not run as root, and there is no user `postgres` or `nobody`",
        remedy="Run as an ordinary user, or set DATABASE_URL",
    )


def _state_within_reach(inside: Path, user: ServerUser) -> Path:
    """Give `inside` if the server's user reaches it, else a folder of ours that it does reach."""
    # Ours, and it must be passable whatever the umask was.
    inside.chmod(0o755)
    if user.reaches(inside):
        return inside
    # Two processes that make up a name at once would have two databases.
    with (inside / "location.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = _state_elsewhere(inside.parent)
        if made is not None:
            return made
        for parent in folders_outside():
            state = parent / f"videomoments-{secrets.token_hex(8)}"
            if not (parent.is_dir() and os.access(parent, os.W_OK) and user.reaches(parent)):
                continue
            _own_folder(state, mode=0o755, owner=os.geteuid())
            _claim(state, inside.parent)
            _write(inside / "location", os.fsencode(state) + b"\n")
            return state
    raise EmbeddedServerFailed(
        f"PostgreSQL runs as '{user.name}' for root, and '{user.name}' cannot reach {inside}",
        remedy="Set VIDEOMOMENTS_HOME to a folder that others may pass through",
    )


def _socket_folder(state: Path, user: ServerUser) -> Path:
    """Make the folder of the socket: short, plain, and closed to everybody but its user."""
    folder = state / "run"
    path = str(folder / SOCKET_NAME)
    if not _PLAIN_PATH.match(path) or len(path) > _LONGEST_SOCKET_PATH:
        # Not tempfile's: TMPDIR may differ between the processes that share the server.
        folder = Path("/tmp") / f"videomoments-{user.uid}-{_digest(state)}"  # noqa: S108
    _own_folder(folder, mode=0o700, owner=user.uid)
    return folder


def _own_folder(folder: Path, *, mode: int, owner: int) -> None:
    """Make a folder, or make sure that the one there was not put there by somebody else."""
    with suppress(FileExistsError):
        folder.mkdir(mode=mode)
        folder.chmod(mode)
        os.chown(folder, owner, -1)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid not in {owner, os.geteuid()}:
        raise EmbeddedServerFailed(
            f"{folder} is in the way: it is not a folder of user id {owner}",
            remedy="Remove it and try again",
        )


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
