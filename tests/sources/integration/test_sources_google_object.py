import gc
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gcs_emulator import BUCKET, Fault, GoogleStorage

from videomoments_dagster.base.failures import SourceRejected, SourceUnavailable
from videomoments_dagster.sources.fetching import LocalSource, fetch_source
from videomoments_dagster.sources.limits import FetchLimits

pytest_plugins = ["gcs_fixtures"]

CONTENT = os.urandom(100_000)
KEY = "talks/My_Talk 1.mp4"
LIMITS = FetchLimits(
    connect_seconds=1, read_seconds=1, total_seconds=1, first_wait_seconds=0.02, max_bytes=200_000
)


def upload(client: Any, content: bytes = CONTENT) -> str:
    client.bucket(BUCKET).blob(KEY).upload_from_string(content)
    return f"gs://{BUCKET}/{KEY}"


def fetch(location: str, scratch: Path, client: Any) -> LocalSource:
    return fetch_source(location, scratch=scratch, gcs_client=lambda: client, limits=LIMITS)


def test_an_object_is_downloaded_verified_and_hashed(gcs_client: Any, scratch: Path) -> None:
    source = fetch(upload(gcs_client), scratch, gcs_client)
    assert source.path.read_bytes() == CONTENT
    assert source.content_hash == hashlib.sha256(CONTENT).hexdigest()
    assert source.size_bytes == len(CONTENT)
    assert source.suggested_title == "My Talk 1"
    assert list(scratch.iterdir()) == [source.path]
    assert source.path.suffix == ".mp4"


def test_a_download_that_breaks_off_is_taken_up_again(
    gcs_client: Any, scratch: Path, gcs: GoogleStorage
) -> None:
    url = upload(gcs_client)
    gcs.faults.append(Fault(times=1, method="GET", path="alt=media", after_bytes=30_000))
    assert fetch(url, scratch, gcs_client).path.read_bytes() == CONTENT
    assert gcs.faults[0].times == 0


@pytest.mark.parametrize(
    "location",
    [
        f"gs://{BUCKET}/none.mp4",
        "gs://no-such-bucket/a.mp4",
        f"gs://{BUCKET}",
        f"gs://{BUCKET}/a/",
        "gs://",
        "gs:///a",
    ],
)
def test_what_does_not_exist_is_rejected_and_named(
    gcs_client: Any, scratch: Path, location: str
) -> None:
    with pytest.raises(SourceRejected) as rejected:
        fetch(location, scratch, gcs_client)
    assert location in rejected.value.reason
    assert list(scratch.iterdir()) == []


def test_a_forbidden_object_is_rejected_with_the_command_that_grants_it(
    gcs_client: Any, scratch: Path, gcs: GoogleStorage
) -> None:
    gcs.faults.append(Fault(times=10, status=403))
    with pytest.raises(SourceRejected, match="may not be read") as rejected:
        fetch(f"gs://{BUCKET}/a.mp4", scratch, gcs_client)
    assert "objectViewer" in rejected.value.remedy


def test_missing_credentials_are_rejected_with_the_command_that_logs_in(scratch: Path) -> None:
    from google.auth.exceptions import DefaultCredentialsError

    def no_credentials() -> Any:
        raise DefaultCredentialsError("none")

    with pytest.raises(SourceRejected, match="credentials") as rejected:
        fetch_source(
            f"gs://{BUCKET}/a.mp4", scratch=scratch, gcs_client=no_credentials, limits=LIMITS
        )
    assert "gcloud auth application-default login" in rejected.value.remedy


@pytest.fixture
def google_leaves_answers_open() -> Iterator[None]:
    """Google's client does not close the answer to a download that was refused."""
    yield
    gc.collect()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("google_leaves_answers_open")
def test_trouble_that_stays_is_a_retryable_failure(
    gcs_client: Any, scratch: Path, gcs: GoogleStorage
) -> None:
    url = upload(gcs_client)
    gcs.faults.append(Fault(times=10_000, method="GET", path="alt=media", status=503))
    with pytest.raises(SourceUnavailable, match="503"):
        fetch(url, scratch, gcs_client)
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(("content", "words"), [(b"", "empty"), (b"x" * 200_001, "larger")])
def test_an_empty_or_too_large_object_is_rejected_before_it_is_downloaded(
    gcs_client: Any, scratch: Path, gcs: GoogleStorage, content: bytes, words: str
) -> None:
    url = upload(gcs_client, content)
    with pytest.raises(SourceRejected, match=words):
        fetch(url, scratch, gcs_client)
    assert gcs.seen("GET", "alt=media") == []
