"""The collector of reference cycles rests while modules are imported, and no longer."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from videomoments_dagster.command_line.loading import loading


@pytest.fixture
def collecting() -> Iterator[None]:
    gc.enable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.usefixtures("collecting")
def test_it_rests_within_and_not_after() -> None:
    with loading():
        assert not gc.isenabled()
    assert gc.isenabled()


@pytest.mark.usefixtures("collecting")
def test_it_goes_on_after_a_failed_import() -> None:
    with pytest.raises(ImportError), loading():
        raise ImportError("no such module")
    assert gc.isenabled()


@pytest.mark.usefixtures("collecting")
def test_one_that_is_off_stays_off() -> None:
    gc.disable()
    with loading():
        pass
    assert not gc.isenabled()
