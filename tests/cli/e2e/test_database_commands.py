"""An embedded database outside of its home, by the commands that speak of it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from db.embedded import existing_state

COMMAND = (
    sys.executable,
    "-P",
    "-c",
    "from videomoments_dagster.cli.main import main; main()",
)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_a_database_outside_of_its_home_is_named_and_once_that_is_gone_removed_on_request(
    closed_folder: Path,
) -> None:
    home = closed_folder / "home"
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DATABASE_", "DAGSTER_", "VIDEOMOMENTS_"))
    }

    def videomoments(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            env={**clean, "VIDEOMOMENTS_HOME": str(home)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    findings = json.loads(videomoments("doctor", "--json").stdout)
    detail = next(one["detail"] for one in findings if one["name"] == "database")
    state = existing_state(home)
    assert state is not None
    assert f"embedded in {state}, for {home}" in detail
    refused = videomoments("db", "remove", str(state), "--yes")
    assert refused.returncode == 1
    assert f"is that of {home}, which is there" in refused.stderr

    shutil.rmtree(home)
    said = videomoments("gc", "--dry-run").stdout
    assert f"No home leads to the database {state}: its home {home} has another database." in said
    assert state.exists()
    removed = videomoments("db", "remove", str(state), "--yes")
    assert removed.stdout == f"Removed {state}.\n", removed.stderr
    assert not state.exists()
