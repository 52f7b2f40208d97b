import hashlib
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from fetch_fixtures import no_client

from videomoments_dagster.base.failures import SourceRejected, SourceUnavailable
from videomoments_dagster.base.files import content_hash
from videomoments_dagster.sources.fetching import LocalSource, fetch_source
from videomoments_dagster.sources.locations import normalise_location, source_fingerprint

CONTENT = os.urandom(2 * 1024 * 1024 + 3)


def fetch(location: str, scratch: Path) -> LocalSource:
    return fetch_source(location, scratch=scratch, gcs_client=no_client)


@pytest.mark.parametrize("name", ["talk.mp4", "-rf", "my talk #1 100%?.mp4", "東京.mp4", "a'b\"c"])
def test_a_local_file_is_read_in_place(tmp_path: Path, scratch: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(CONTENT)
    for location in (str(path), path.as_uri()):
        source = fetch(location, scratch)
        assert source.path == path
        assert source.location == location
        assert source.content_hash == hashlib.sha256(CONTENT).hexdigest() == content_hash(path)
        assert source.size_bytes == len(CONTENT)
    assert list(scratch.iterdir()) == []


def test_progress_is_told_up_to_the_whole(tmp_path: Path, scratch: Path) -> None:
    path = tmp_path / "talk.mp4"
    path.write_bytes(CONTENT)
    seen: list[tuple[int, int | None]] = []
    fetch_source(
        str(path),
        scratch=scratch,
        gcs_client=no_client,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert len(seen) == 3


def test_a_home_folder_and_a_link_are_followed(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "talk.mp4").write_bytes(CONTENT)
    (tmp_path / "link.mp4").symlink_to(tmp_path / "talk.mp4")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert fetch("~/link.mp4", scratch).path == tmp_path / "talk.mp4"


def test_a_missing_file_is_rejected_and_named(tmp_path: Path, scratch: Path) -> None:
    with pytest.raises(SourceRejected, match=r"gone\.mp4 does not exist") as rejected:
        fetch(str(tmp_path / "gone.mp4"), scratch)
    assert not rejected.value.retryable


def test_a_path_through_a_file_is_rejected(tmp_path: Path, scratch: Path) -> None:
    (tmp_path / "talk.mp4").write_bytes(CONTENT)
    with pytest.raises(SourceRejected, match="Not a directory"):
        fetch(str(tmp_path / "talk.mp4" / "x"), scratch)


def test_an_endless_name_is_rejected(scratch: Path) -> None:
    with pytest.raises(SourceRejected):
        fetch("/" + "x" * 5000, scratch)


def test_a_link_to_itself_is_rejected(tmp_path: Path, scratch: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(SourceRejected):
        fetch(str(tmp_path / "loop"), scratch)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("folder", "is a folder"),
        ("empty", "is empty"),
        ("pipe", "is a named pipe"),
        ("socket", "is a socket"),
        ("device", "is a device"),
    ],
)
def test_what_is_no_file_with_content_is_rejected_by_its_kind(
    tmp_path: Path, scratch: Path, kind: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "thing.mp4"
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        monkeypatch.chdir(tmp_path)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("thing.mp4")
        listener.close()
    else:
        path = Path("/dev/zero")
    with pytest.raises(SourceRejected, match=words) as rejected:
        fetch(str(path), scratch)
    assert str(path) in rejected.value.reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_rejected(tmp_path: Path, scratch: Path) -> None:
    path = tmp_path / "talk.mp4"
    path.write_bytes(CONTENT)
    path.chmod(0)
    with pytest.raises(SourceRejected, match="Permission denied"):
        fetch(str(path), scratch)


def test_a_file_that_is_still_written_is_not_taken(tmp_path: Path, scratch: Path) -> None:
    path = tmp_path / "talk.mp4"
    path.write_bytes(CONTENT)

    def grow(*_: Any) -> None:
        with path.open("ab") as file:
            file.write(b"more")

    with pytest.raises(SourceUnavailable, match="changed while it was read"):
        fetch_source(str(path), scratch=scratch, gcs_client=no_client, progress=grow)


def test_a_fingerprint_changes_with_the_file_and_is_none_without_it(tmp_path: Path) -> None:
    path = tmp_path / "talk.mp4"
    location = normalise_location("talk.mp4", cwd=tmp_path)
    assert source_fingerprint(location) is None
    path.write_bytes(b"one")
    first = source_fingerprint(location)
    assert first is not None
    assert source_fingerprint(location) == first
    os.utime(path, ns=(1, 1))
    assert source_fingerprint(location) != first
