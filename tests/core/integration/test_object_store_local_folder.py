import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from videomoments_dagster.base.failures import (
    ObjectConflict,
    ObjectMissing,
    ObjectStoreRefused,
    ObjectStoreUnavailable,
    ScratchExhausted,
    SourceUnavailable,
)
from videomoments_dagster.core.objects.local_folder import LocalFolderStore


@pytest.fixture
def store(tmp_path: Path) -> LocalFolderStore:
    return LocalFolderStore(tmp_path / "store")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "source.mp4"
    path.write_bytes(os.urandom(3 * 1024 * 1024 + 7))
    return path


def files_below(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def disk_full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_stored_file_comes_back_the_same(
    store: LocalFolderStore, file: Path, tmp_path: Path
) -> None:
    stored = store.put_file(file, key="videos/talk/a.mp4", content_type="video/mp4")
    assert stored.created
    assert stored.url == (store.root / "videos/talk/a.mp4").as_uri()
    assert stored.size_bytes == file.stat().st_size
    fetched = store.fetch(stored.url, to=tmp_path / "back.mp4")
    assert fetched.read_bytes() == file.read_bytes()
    read_in_place = store.local_path(stored.url)
    assert read_in_place is not None
    assert read_in_place.read_bytes() == file.read_bytes()
    found = store.stat(stored.url)
    assert found is not None
    assert (found.key, found.size_bytes) == ("videos/talk/a.mp4", stored.size_bytes)


def test_how_much_is_written_is_told(store: LocalFolderStore, file: Path) -> None:
    told: list[int] = []
    store.put_file(file, key="a.mp4", content_type="video/mp4", progress=told.append)
    assert told == sorted(told)
    assert told[-1] == file.stat().st_size


def test_storing_the_same_bytes_again_writes_nothing(store: LocalFolderStore, file: Path) -> None:
    url = store.put_file(file, key="a.mp4", content_type="video/mp4").url
    before = (store.root / "a.mp4").stat()
    again = store.put_file(file, key="a.mp4", content_type="video/mp4")
    assert not again.created
    assert again.url == url
    after = (store.root / "a.mp4").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert files_below(store.root) == ["a.mp4"]


@pytest.mark.parametrize("other", [b"", b"short", None])
def test_other_bytes_under_a_taken_key_are_refused_and_the_first_stay(
    store: LocalFolderStore, file: Path, tmp_path: Path, other: bytes | None
) -> None:
    content = file.read_bytes()
    store.put_file(file, key="a.mp4", content_type="video/mp4")
    second = tmp_path / "second"
    second.write_bytes(content[:-1] + b"!" if other is None else other)
    with pytest.raises(ObjectConflict, match=r"a\.mp4"):
        store.put_file(second, key="a.mp4", content_type="video/mp4")
    assert (store.root / "a.mp4").read_bytes() == content
    assert files_below(store.root) == ["a.mp4"]


@pytest.fixture(params=["hard links", "no hard links"])
def _file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    if request.param == "no hard links":
        monkeypatch.setattr(os, "link", no_links)


@pytest.mark.usefixtures("_file_system")
def test_of_many_writers_of_one_key_exactly_one_creates_it(
    store: LocalFolderStore, file: Path
) -> None:
    barrier = threading.Barrier(6)
    created: list[bool] = []

    def write() -> None:
        barrier.wait()
        created.append(store.put_file(file, key="v/a.mp4", content_type="video/mp4").created)

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(created) == [False] * 5 + [True]
    assert (store.root / "v/a.mp4").read_bytes() == file.read_bytes()
    assert [found.key for found in store.list()] == ["v/a.mp4"]


@pytest.mark.usefixtures("_file_system")
def test_of_writers_of_different_bytes_one_wins_and_the_others_are_told(
    store: LocalFolderStore, tmp_path: Path
) -> None:
    barrier = threading.Barrier(4)
    outcomes: list[str] = []

    def write(number: int) -> None:
        path = tmp_path / f"writer-{number}"
        path.write_bytes(bytes([number]) * 2_000_000)
        barrier.wait()
        try:
            created = store.put_file(path, key="a.bin", content_type="x/y").created
            outcomes.append("created" if created else "same")
        except ObjectConflict:
            outcomes.append("conflict")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["conflict"] * 3 + ["created"]
    content = (store.root / "a.bin").read_bytes()
    assert len(set(content)) == 1
    assert len(content) == 2_000_000


def test_a_file_that_changed_since_it_was_hashed_is_not_stored(
    store: LocalFolderStore, file: Path
) -> None:
    with pytest.raises(SourceUnavailable, match="changed"):
        store.put_file(file, key="a.mp4", content_type="video/mp4", sha256="0" * 64)
    assert files_below(store.root) == []


def test_a_file_that_vanished_is_named(store: LocalFolderStore, tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"gone\.mp4"):
        store.put_file(tmp_path / "gone.mp4", key="a.mp4", content_type="video/mp4")
    assert files_below(store.root) == []


@pytest.mark.parametrize("name", ["a b.mp4", "50%.mp4", "#1?.mp4", "дом 東京.mp4", "a%20b.mp4"])
def test_addresses_are_percent_encoded_and_lead_back(tmp_path: Path, file: Path, name: str) -> None:
    store = LocalFolderStore(tmp_path / "my store #1")
    url = store.put_file(file, key=f"videos/{name}", content_type="video/mp4").url
    assert url.isascii()
    assert not set(" #?") & set(url)
    found = store.stat(url)
    assert found is not None
    assert found.key == f"videos/{name}"
    assert next(store.list("videos")).url == url == store.url_of(f"videos/{name}")


def test_a_missing_object_fails_and_is_named(store: LocalFolderStore, tmp_path: Path) -> None:
    url = store.url_of("videos/none.mp4")
    assert store.stat(url) is None
    for read in (lambda: store.fetch(url, to=tmp_path / "to"), lambda: store.local_path(url)):
        with pytest.raises(ObjectMissing, match=r"videos/none\.mp4"):
            read()
    assert not (tmp_path / "to").exists()


def test_deleting_twice_is_deleting_once(store: LocalFolderStore, file: Path) -> None:
    url = store.put_file(file, key="a/b.mp4", content_type="video/mp4").url
    store.delete(url)
    store.delete(url)
    assert store.stat(url) is None


def test_a_folder_is_not_an_object(store: LocalFolderStore, file: Path) -> None:
    store.put_file(file, key="a/b.mp4", content_type="video/mp4")
    assert store.stat(store.url_of("a")) is None
    assert store.stat(store.url_of("a/b.mp4/c")) is None


def test_listing_goes_by_whole_segments(store: LocalFolderStore, file: Path) -> None:
    for key in ("videos/vid1/a", "videos/vid10/a", "videos/vid1/b/c", "other"):
        store.put_file(file, key=key, content_type="video/mp4")
    (store.root / "videos/vid1/.part-0123").write_bytes(b"unfinished")
    assert [found.key for found in store.list("videos/vid1")] == [
        "videos/vid1/a",
        "videos/vid1/b/c",
    ]
    assert [found.key for found in store.list("videos/vid1/")] == [
        "videos/vid1/a",
        "videos/vid1/b/c",
    ]
    assert len(list(store.list())) == 4
    assert list(store.list("videos/vid")) == []


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "file://{root}/../secret",
        "file://{root}/a/%2e%2e/%2e%2e/secret",
        "file://{root}",
        "file://{root}/",
        "file://{root}-other/a",
        "file://{root}/a?x",
        "file://{root}/a#x",
        "file://{root}/a%00b",
        "file://server{root}/a",
        "file://[",
        "{root}/a",
        "gs://bucket/a",
        "",
    ],
)
def test_addresses_outside_the_root_are_refused_and_left_alone(
    store: LocalFolderStore, tmp_path: Path, url: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    outside = url.format(root=store.root)
    for use in (
        store.stat,
        store.delete,
        store.local_path,
        lambda address: store.fetch(address, to=tmp_path / "stolen"),
    ):
        with pytest.raises(ObjectStoreRefused, match="root"):
            use(outside)
    assert secret.read_bytes() == b"secret"
    assert not (tmp_path / "stolen").exists()


def test_a_full_store_disk_is_named_and_leaves_nothing(
    store: LocalFolderStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(ObjectStoreUnavailable, match="full") as failure:
        store.put_file(file, key="a.mp4", content_type="video/mp4")
    assert str(store.root) in failure.value.reason
    assert files_below(store.root) == []


def test_a_full_scratch_disk_is_named_and_leaves_nothing(
    store: LocalFolderStore, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = store.put_file(file, key="a.mp4", content_type="video/mp4").url
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(Path, "replace", disk_full)
    with pytest.raises(ScratchExhausted, match="full"):
        store.fetch(url, to=scratch / "a.mp4")
    assert files_below(scratch) == []


def test_the_check_makes_the_root_and_leaves_nothing(store: LocalFolderStore) -> None:
    store.check()
    assert store.root.is_dir()
    assert files_below(store.root) == []


def test_a_root_that_cannot_be_made_is_refused_with_the_command_that_mends_it(
    file: Path,
) -> None:
    store = LocalFolderStore(file / "store")
    operations: list[Callable[[], object]] = [
        store.check,
        lambda: store.put_file(file, key="a", content_type="x/y"),
    ]
    for operation in operations:
        with pytest.raises(ObjectStoreRefused) as refused:
            operation()
        assert str(store.root) in refused.value.reason
        assert "mkdir -p" in refused.value.remedy


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_forbidden_root_is_refused(tmp_path: Path, file: Path) -> None:
    store = LocalFolderStore(tmp_path / "locked" / "store")
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(ObjectStoreRefused, match="Permission denied"):
        store.check()


def test_an_unreadable_folder_is_not_an_empty_one(
    store: LocalFolderStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put_file(file, key="a/b", content_type="x/y")

    def denied(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(ObjectStoreRefused):
        list(store.list())


def test_a_link_below_the_root_is_not_followed_out_of_it(
    store: LocalFolderStore, file: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.mp4").write_bytes(b"mine")
    store.put_file(file, key="videos/talk/b.mp4", content_type="video/mp4")
    (store.root / "videos" / "folder").symlink_to(outside)
    (store.root / "videos" / "talk" / "a.mp4").symlink_to(outside / "a.mp4")
    (store.root / "videos" / "round.mp4").symlink_to("round.mp4")
    for key in ("videos/folder/a.mp4", "videos/talk/a.mp4"):
        url = store.url_of(key)
        attempts: list[Callable[[], object]] = [
            lambda url=url: store.stat(url),
            lambda url=url: store.local_path(url),
            lambda url=url: store.fetch(url, to=tmp_path / "copy.mp4"),
            lambda key=key: store.put_file(file, key=key, content_type="video/mp4"),
        ]
        for attempt in attempts:
            with pytest.raises(ObjectStoreRefused, match="symbolic link"):
                attempt()
    with pytest.raises(ObjectStoreRefused, match="symbolic link"):
        store.put_file(file, key="videos/folder/new.mp4", content_type="video/mp4")
    with pytest.raises(ObjectStoreRefused, match="symbolic link"):
        store.delete(store.url_of("videos/folder/a.mp4"))
    for prefix in ("", "videos/folder", "videos/talk"):
        assert {found.key for found in store.list(prefix)} <= {"videos/talk/b.mp4"}
    store.delete(store.url_of("videos/talk/a.mp4"))
    assert files_below(outside) == ["a.mp4"]
    assert (outside / "a.mp4").read_bytes() == b"mine"
    assert not (store.root / "videos" / "talk" / "a.mp4").is_symlink()
    assert not (tmp_path / "copy.mp4").exists()


def test_the_root_itself_may_be_a_link(file: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "store").symlink_to(tmp_path / "disk")
    store = LocalFolderStore(tmp_path / "store")
    url = store.put_file(file, key="videos/talk/a.mp4", content_type="video/mp4").url
    assert store.local_path(url) == tmp_path / "store" / "videos" / "talk" / "a.mp4"
    assert [found.key for found in store.list()] == ["videos/talk/a.mp4"]
    store.delete(url)
    assert files_below(tmp_path / "disk") == []
