"""What tests that fetch sources share: where to put them, and a client that nobody asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """An empty folder."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def no_client() -> Any:
    """For sources that are not in Google Cloud Storage."""
    raise AssertionError
