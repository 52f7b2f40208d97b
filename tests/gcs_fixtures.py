"""Fixtures over the Google Cloud Storage emulator; use with `pytest_plugins = ["gcs_fixtures"]`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from gcs_emulator import BUCKET, GoogleStorage, google_storage
from pipeline import Pipeline

from videomoments_dagster.core import resources

PIPELINE_ROOT = f"gs://{BUCKET}/films/2026"


@pytest.fixture(scope="session")
def _running_gcs() -> Iterator[GoogleStorage]:
    with google_storage() as storage:
        yield storage


@pytest.fixture
def gcs(_running_gcs: GoogleStorage) -> GoogleStorage:
    """The emulator with one empty bucket, no faults and no requests seen."""
    _running_gcs.reset()
    return _running_gcs


@pytest.fixture
def gcs_client(gcs: GoogleStorage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A real client, found through STORAGE_EMULATOR_HOST as in production."""
    from google.cloud import storage

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.url)
    client = storage.Client(project="test")
    yield client
    client.close()


@pytest.fixture
def pipeline_bucket(
    pipeline: Pipeline, gcs_client: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """The bucket as the pipeline's object store, and a client to look into it."""
    monkeypatch.setenv("VIDEOMOMENTS_OBJECT_STORE", PIPELINE_ROOT)
    resources.google_client.cache_clear()
    resources._store.cache_clear()
    yield gcs_client.bucket(BUCKET)
    resources.google_client("").close()
    resources.google_client.cache_clear()
    resources._store.cache_clear()
