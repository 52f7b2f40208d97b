"""A real PgBouncer before a test's database, where one is installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from db.urls import normalised, rendered

_PROGRAM = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


@contextmanager
def pooled(url: str, mode: str, *, connections: int = 4) -> Iterator[str]:
    """Give the URL of a database behind a pooler; skips the test where there is none.

    Args:
        url: The database itself.
        mode: PgBouncer's pool_mode, such as "session" or "transaction".
        connections: Most that the pooler opens to the server.
    """
    if _PROGRAM is None:
        pytest.skip("PgBouncer is not installed; the rule itself has a unit test")
    target = normalised(url)
    host = str(target.query.get("host") or target.host)
    folder = Path(tempfile.mkdtemp(prefix="vm-pooler-"))
    try:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        login = f"user={target.username}"
        if target.password:
            login += f" password='{target.password}'"
        where = f"host={host} port={target.port or 5432}"
        (folder / "users.txt").write_text(f'"{target.username}" ""\n')
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n{target.database} = {where} {login}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = any\npool_mode = {mode}\ndefault_pool_size = {connections}\n"
        )
        options: dict[str, Any] = {}
        if os.geteuid() == 0:
            # It refuses to be root, as PostgreSQL does, whose socket only its own user reaches.
            owner = Path(host).stat().st_uid if host.startswith("/") else 65534
            os.chown(folder, owner, -1)
            options = {"user": owner, "extra_groups": []}
        with subprocess.Popen(
            [_PROGRAM, "--quiet", str(folder / "pgbouncer.ini")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **options,
        ) as process:
            try:
                _wait_for(port, process)
                through = target.difference_update_query(["host", "port"])
                yield rendered(through.set(host="127.0.0.1", port=port))
            finally:
                process.terminate()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, "PgBouncer ended"
            assert time.monotonic() < deadline, "PgBouncer did not start"
            time.sleep(0.05)
        else:
            return
