import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from gcs_emulator import BUCKET, Fault, GoogleStorage

from videomoments_dagster.base.failures import (
    ObjectConflict,
    ObjectMissing,
    ObjectStoreRefused,
    ObjectStoreUnavailable,
    ScratchExhausted,
    SourceUnavailable,
    VideoMomentsError,
)
from videomoments_dagster.core.objects import google_cloud
from videomoments_dagster.core.objects.google_cloud import GoogleCloudStore
from videomoments_dagster.sources.limits import TransferLimits

pytest_plugins = ["gcs_fixtures"]

QUICK = TransferLimits(
    connect_seconds=1,
    read_seconds=2,
    retry_seconds=2,
    first_wait_seconds=0.02,
    block_bytes=256 * 1024,
)
SMALL = 70_000
ABOVE_ONE_REQUEST = 8 * 1024 * 1024 + 12_345  # larger files are uploaded in blocks


@pytest.fixture
def store(gcs_client: Any) -> GoogleCloudStore:
    return GoogleCloudStore(lambda: gcs_client, bucket=BUCKET, prefix="vm", limits=QUICK)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(os.urandom(SMALL))
    return path


@pytest.fixture
def large_file(tmp_path: Path) -> Path:
    path = tmp_path / "talk.mp4"
    path.write_bytes(os.urandom(ABOVE_ONE_REQUEST))
    return path


def put(store: GoogleCloudStore, path: Path, key: str = "clips/a.mp4") -> Any:
    return store.put_file(path, key=key, content_type="video/mp4")


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".mp4")


def test_how_much_is_uploaded_is_told(store: GoogleCloudStore, large_file: Path) -> None:
    told: list[int] = []
    store.put_file(large_file, key="a.mp4", content_type="video/mp4", progress=told.append)
    assert len(set(told)) > 1
    assert told == sorted(told)
    assert told[-1] == ABOVE_ONE_REQUEST


def test_an_uploaded_file_comes_back_the_same(
    store: GoogleCloudStore, file: Path, tmp_path: Path, gcs_client: Any
) -> None:
    stored = put(store, file)
    assert stored.created
    assert stored.url == f"gs://{BUCKET}/vm/clips/a.mp4"
    assert stored.size_bytes == SMALL
    assert store.fetch(stored.url, to=tmp_path / "back.mp4").read_bytes() == file.read_bytes()
    found = store.stat(stored.url)
    assert found is not None
    assert (found.key, found.size_bytes) == ("clips/a.mp4", SMALL)
    assert found.crc32c
    assert store.local_path(stored.url) is None
    assert gcs_client.bucket(BUCKET).get_blob("vm/clips/a.mp4").content_type == "video/mp4"
    assert leftovers(tmp_path) == []


def test_a_large_file_goes_up_in_blocks_with_a_precondition(
    store: GoogleCloudStore, large_file: Path, tmp_path: Path, gcs: GoogleStorage
) -> None:
    url = put(store, large_file).url
    opened = gcs.seen("POST", "uploadType=resumable")
    assert len(opened) == 1
    assert "ifGenerationMatch=0" in opened[0]
    assert len(gcs.seen("PUT")) == ABOVE_ONE_REQUEST // QUICK.block_bytes + 1
    assert store.fetch(url, to=tmp_path / "back.mp4").read_bytes() == large_file.read_bytes()


def test_a_small_file_is_created_with_a_precondition_too(
    store: GoogleCloudStore, file: Path, gcs: GoogleStorage
) -> None:
    put(store, file)
    assert all("ifGenerationMatch=0" in path for path in gcs.seen("POST", "/upload/"))
    assert gcs.seen("POST", "/upload/")


def test_storing_the_same_bytes_again_uploads_nothing(
    store: GoogleCloudStore, file: Path, gcs: GoogleStorage
) -> None:
    put(store, file)
    gcs.requests.clear()
    again = put(store, file)
    assert not again.created
    assert again.size_bytes == SMALL
    assert {method for method, _ in gcs.requests} == {"GET"}


@pytest.mark.parametrize("other", [b"", b"short", None])
def test_other_bytes_under_a_taken_key_are_refused_and_the_first_stay(
    store: GoogleCloudStore, file: Path, tmp_path: Path, other: bytes | None
) -> None:
    url = put(store, file).url
    second = tmp_path / "second.mp4"
    second.write_bytes(file.read_bytes()[:-1] + b"!" if other is None else other)
    with pytest.raises(ObjectConflict, match=r"clips/a\.mp4"):
        put(store, second)
    assert store.fetch(url, to=tmp_path / "back.mp4").read_bytes() == file.read_bytes()


@pytest.mark.parametrize("winner_is", ["the same", "another"])
def test_a_writer_who_loses_the_race_compares_with_the_winner(
    store: GoogleCloudStore, file: Path, tmp_path: Path, gcs: GoogleStorage, winner_is: str
) -> None:
    same = winner_is == "the same"
    winner = tmp_path / "winner.mp4"
    winner.write_bytes(file.read_bytes() if same else os.urandom(SMALL))
    put(store, winner)
    # The look-up before the upload finds nothing, and the precondition then fails.
    gcs.faults += [
        Fault(times=1, method="GET", path="/o/", status=404),
        Fault(times=1, method="POST", path="ifGenerationMatch=0", status=412),
    ]
    if same:
        assert not put(store, file).created
    else:
        with pytest.raises(ObjectConflict):
            put(store, file)
    assert all(fault.times == 0 for fault in gcs.faults)


@pytest.mark.parametrize("status", [503, 429, 500, 408, 0])
def test_passing_trouble_of_a_small_upload_is_tried_again(
    store: GoogleCloudStore, file: Path, tmp_path: Path, gcs: GoogleStorage, status: int
) -> None:
    gcs.faults.append(Fault(times=3, method="POST", path="/upload/", status=status))
    url = put(store, file).url
    assert gcs.faults[0].times == 0
    assert store.fetch(url, to=tmp_path / "back.mp4").read_bytes() == file.read_bytes()


@pytest.mark.parametrize("status", [503, 0])
def test_passing_trouble_in_the_middle_of_a_large_upload_is_tried_again(
    store: GoogleCloudStore, large_file: Path, tmp_path: Path, gcs: GoogleStorage, status: int
) -> None:
    gcs.faults.append(Fault(times=2, method="PUT", status=status))
    url = put(store, large_file).url
    assert gcs.faults[0].times == 0
    assert len(gcs.seen("POST", "uploadType=resumable")) == 1
    assert store.fetch(url, to=tmp_path / "back.mp4").read_bytes() == large_file.read_bytes()


def test_trouble_that_stays_ends_in_a_retryable_failure(
    store: GoogleCloudStore, file: Path, gcs: GoogleStorage
) -> None:
    gcs.faults.append(Fault(times=10_000, status=503))
    started = time.monotonic()
    with pytest.raises(ObjectStoreUnavailable, match="503") as failure:
        put(store, file)
    assert failure.value.retryable
    assert time.monotonic() - started < QUICK.retry_seconds + 1


def test_a_download_that_breaks_off_goes_on_where_it_stopped(
    store: GoogleCloudStore, file: Path, tmp_path: Path, gcs: GoogleStorage
) -> None:
    url = put(store, file).url
    gcs.faults.append(Fault(times=2, method="GET", path="alt=media", after_bytes=20_000))
    assert store.fetch(url, to=tmp_path / "back.mp4").read_bytes() == file.read_bytes()
    assert gcs.faults[0].times == 0
    assert leftovers(tmp_path) == []


def test_damage_on_the_way_down_is_noticed_and_fetched_again(
    store: GoogleCloudStore, file: Path, tmp_path: Path, gcs: GoogleStorage
) -> None:
    url = put(store, file).url

    def damage(body: bytes) -> bytes:
        return body[:-1] + bytes([body[-1] ^ 1])

    gcs.faults.append(Fault(times=1, method="GET", path="alt=media", rewrite=damage))
    assert store.fetch(url, to=tmp_path / "back.mp4").read_bytes() == file.read_bytes()
    gcs.faults.append(Fault(times=2, method="GET", path="alt=media", rewrite=damage))
    with pytest.raises(ObjectStoreUnavailable, match="damaged"):
        store.fetch(url, to=tmp_path / "again.mp4")
    assert not (tmp_path / "again.mp4").exists()
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("size", [SMALL, ABOVE_ONE_REQUEST])
def test_bytes_that_differ_from_their_checksum_are_refused_by_the_server(
    store: GoogleCloudStore, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(os.urandom(size))
    real = google_cloud.checksums_of

    def then_changed(target: Path) -> Any:
        sums = real(target)
        target.write_bytes(os.urandom(size))
        return sums

    monkeypatch.setattr(google_cloud, "checksums_of", then_changed)
    with pytest.raises(ObjectStoreUnavailable, match="could not be uploaded: HTTP 4"):
        put(store, path)
    assert store.stat(store.url_of("clips/a.mp4")) is None


def test_an_upload_that_the_server_says_it_stored_differently_is_taken_back(
    store: GoogleCloudStore, file: Path, gcs: GoogleStorage
) -> None:
    gcs.faults.append(
        Fault(
            times=1,
            method="POST",
            path="/upload/",
            rewrite=lambda body: body.replace(b'"crc32c": "', b'"crc32c": "x'),
        )
    )
    with pytest.raises(ObjectStoreUnavailable, match="damaged"):
        put(store, file)
    assert store.stat(store.url_of("clips/a.mp4")) is None


def test_a_file_that_changed_since_it_was_hashed_is_not_uploaded(
    store: GoogleCloudStore, file: Path, gcs: GoogleStorage
) -> None:
    with pytest.raises(SourceUnavailable, match="changed"):
        store.put_file(file, key="a", content_type="video/mp4", sha256="0" * 64)
    assert gcs.requests == []


def test_a_missing_object_fails_and_is_named(store: GoogleCloudStore, tmp_path: Path) -> None:
    url = store.url_of("clips/none.mp4")
    assert store.stat(url) is None
    with pytest.raises(ObjectMissing, match=r"vm/clips/none\.mp4"):
        store.fetch(url, to=tmp_path / "to")
    assert leftovers(tmp_path) == []


def test_deleting_twice_is_deleting_once(store: GoogleCloudStore, file: Path) -> None:
    url = put(store, file).url
    store.delete(url)
    store.delete(url)
    assert store.stat(url) is None


def test_listing_goes_by_whole_segments(store: GoogleCloudStore, file: Path) -> None:
    for key in ("videos/vid1/a", "videos/vid10/a", "other"):
        put(store, file, key=key)
    assert [found.key for found in store.list("videos/vid1")] == ["videos/vid1/a"]
    assert [found.key for found in store.list("videos/vid1/")] == ["videos/vid1/a"]
    assert sorted(found.key for found in store.list()) == [
        "other",
        "videos/vid1/a",
        "videos/vid10/a",
    ]
    found = next(store.list("videos/vid1"))
    assert store.stat(found.url) == found


def test_a_store_without_a_prefix_uses_the_whole_bucket(gcs_client: Any, file: Path) -> None:
    store = GoogleCloudStore(lambda: gcs_client, bucket=BUCKET, limits=QUICK)
    assert put(store, file, key="a.mp4").url == f"gs://{BUCKET}/a.mp4"
    assert [found.key for found in store.list()] == ["a.mp4"]
    store.check()


@pytest.mark.parametrize(
    "url",
    [
        f"gs://{BUCKET}/other/a",
        f"gs://{BUCKET}/vm",
        f"gs://{BUCKET}/vm/",
        f"gs://{BUCKET}/vm/../a",
        f"gs://{BUCKET}/vm2/a",
        "gs://other-bucket/vm/a",
        "file:///etc/passwd",
        "",
    ],
)
def test_addresses_outside_the_root_are_refused_without_a_request(
    store: GoogleCloudStore, tmp_path: Path, gcs: GoogleStorage, url: str
) -> None:
    for use in (
        store.stat,
        store.delete,
        store.local_path,
        lambda address: store.fetch(address, to=tmp_path / "stolen"),
    ):
        with pytest.raises(ObjectStoreRefused, match="root"):
            use(url)
    assert gcs.requests == []


def operations(store: GoogleCloudStore, file: Path) -> list[Callable[[], object]]:
    return [
        lambda: put(store, file),
        lambda: store.fetch(store.url_of("a"), to=file.with_name("to")),
        lambda: list(store.list()),
        store.check,
    ]


def test_a_missing_bucket_is_refused_with_the_command_that_makes_it(
    gcs_client: Any, file: Path
) -> None:
    store = GoogleCloudStore(lambda: gcs_client, bucket="no-such-bucket", limits=QUICK)
    for operation in operations(store, file):
        with pytest.raises(ObjectStoreRefused, match="no-such-bucket does not exist") as refused:
            operation()
        assert "gcloud storage buckets create gs://no-such-bucket" in refused.value.remedy


@pytest.mark.parametrize(
    ("status", "remedy"), [(403, "add-iam-policy-binding"), (401, "application-default login")]
)
def test_a_forbidden_bucket_is_refused_at_once_with_the_command_that_grants_it(
    store: GoogleCloudStore, file: Path, gcs: GoogleStorage, status: int, remedy: str
) -> None:
    gcs.faults.append(Fault(times=10_000, status=status))
    for operation in operations(store, file):
        gcs.requests.clear()
        with pytest.raises(ObjectStoreRefused, match=BUCKET) as refused:
            operation()
        assert remedy in refused.value.remedy
        assert len(gcs.requests) <= 2


def test_the_check_passes_on_a_good_bucket(store: GoogleCloudStore) -> None:
    store.check()


def test_the_check_names_the_permissions_that_are_missing(
    store: GoogleCloudStore, gcs: GoogleStorage
) -> None:
    gcs.faults.append(
        Fault(
            times=1,
            path="testPermissions",
            rewrite=lambda _: b'{"permissions": ["storage.objects.list", "storage.objects.get"]}',
        )
    )
    with pytest.raises(ObjectStoreRefused, match=r"storage\.objects\.create"):
        store.check()


def test_no_credentials_are_refused_with_the_command_that_logs_in(file: Path) -> None:
    from google.auth.exceptions import DefaultCredentialsError

    def no_credentials() -> Any:
        raise DefaultCredentialsError("none")

    store = GoogleCloudStore(no_credentials, bucket=BUCKET, limits=QUICK)
    for operation in operations(store, file):
        with pytest.raises(ObjectStoreRefused, match="credentials") as refused:
            operation()
        assert "gcloud auth application-default login" in refused.value.remedy


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleCloudStore]:
    from google.cloud import storage

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    monkeypatch.setattr(google_cloud, "_CHECK_LIMITS", QUICK)
    client = storage.Client(project="test")
    yield GoogleCloudStore(lambda: client, bucket=BUCKET, limits=QUICK)
    client.close()


def test_a_network_that_is_down_is_a_retryable_failure(unreachable: GoogleCloudStore) -> None:
    started = time.monotonic()
    with pytest.raises(ObjectStoreUnavailable, match="could not be reached: no connection"):
        unreachable.check()
    assert time.monotonic() - started < QUICK.retry_seconds + 1


def test_a_check_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hanging() -> Any:
        released.wait(10)
        raise ConnectionError

    monkeypatch.setattr(google_cloud, "_CHECK_SECONDS", 0.1)
    with pytest.raises(ObjectStoreUnavailable, match="did not answer"):
        GoogleCloudStore(hanging, bucket=BUCKET).check()
    released.set()


def test_a_download_that_takes_too_long_is_given_up(
    gcs_client: Any, file: Path, tmp_path: Path
) -> None:
    url = put(GoogleCloudStore(lambda: gcs_client, bucket=BUCKET, limits=QUICK), file).url
    impatient = GoogleCloudStore(
        lambda: gcs_client, bucket=BUCKET, limits=TransferLimits(total_seconds=-1)
    )
    with pytest.raises(ObjectStoreUnavailable, match="too long"):
        impatient.fetch(url, to=tmp_path / "back")
    assert leftovers(tmp_path) == []


def test_a_full_scratch_disk_is_named_and_leaves_nothing(
    store: GoogleCloudStore, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = put(store, file).url
    with pytest.raises(ScratchExhausted):
        store.fetch(url, to=tmp_path / "no such folder" / "a.mp4")
    assert leftovers(tmp_path) == []


def test_the_client_is_made_once_even_from_several_threads(gcs_client: Any, file: Path) -> None:
    made: list[int] = []

    def make() -> Any:
        made.append(1)
        return gcs_client

    store = GoogleCloudStore(make, bucket=BUCKET, limits=QUICK)
    failures: list[VideoMomentsError] = []

    def write(number: int) -> None:
        try:
            put(store, file, key=f"a{number}")
        except VideoMomentsError as failure:
            failures.append(failure)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert made == [1]
    assert len(list(store.list())) == 4


def test_a_listing_asks_for_the_time_of_writing_without_which_nothing_is_ever_garbage(
    store: GoogleCloudStore, file: Path, gcs: GoogleStorage
) -> None:
    before = datetime.now(UTC) - timedelta(minutes=1)
    put(store, file)
    gcs.requests.clear()
    [found] = store.list()
    assert found.written_at is not None
    assert before < found.written_at < datetime.now(UTC) + timedelta(minutes=1)
    # The emulator sends every field, asked for or not.
    [path] = gcs.seen("GET", "/o?")
    fields = parse_qs(urlsplit(path).query)["fields"][0]
    assert {"name", "size", "crc32c", "updated"} <= set(re.findall(r"\w+", fields))
