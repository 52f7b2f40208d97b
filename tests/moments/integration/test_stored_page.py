"""The page that is stored with the clips, and the one that the command writes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import dagster as dg
import pytest
from stored_records import Storage

from videomoments_dagster.base.failures import (
    IdentifierRejected,
    ObjectStoreUnavailable,
    ResultMissing,
    SettingsRejected,
)
from videomoments_dagster.cli import export_commands as report
from videomoments_dagster.cli.export_commands import write_report
from videomoments_dagster.core.asset import Unchanged
from videomoments_dagster.core.garbage import referenced_urls
from videomoments_dagster.core.objects.local_folder import LocalFolderStore
from videomoments_dagster.moments.page import page_store as stored_page
from videomoments_dagster.moments.page.page_store import refresh_page
from videomoments_dagster.moments.records import Clips, CutClips, Moment, Moments
from videomoments_dagster.moments.system import MOMENTS


def store_of(storage: Storage) -> LocalFolderStore:
    return LocalFolderStore(storage.folder / "objects")


def refreshed(storage: Storage, video: str = "talk") -> str:
    return refresh_page(storage.database, store_of(storage), MOMENTS.partition(video))


def page_of(storage: Storage, video: str = "talk") -> Path:
    url = storage.one(
        "SELECT p.cloud_url FROM pipeline.pages p JOIN videos v ON v.id = p.video_id "
        "WHERE v.identifier = :video",
        video=video,
    )
    path = store_of(storage).local_path(url)
    assert path is not None
    return path


def media_in(page: Path) -> list[Path]:
    """Files that a page would play from `file://`, found as a browser finds them."""
    addresses = re.findall(r' (?:src|href)="([^"#]*\.mp4)"', page.read_text())
    return [Path(unquote(urlsplit(urljoin(page.as_uri(), one)).path)) for one in addresses]


def rescored(storage: Storage, moments: tuple[Moment, ...], score: int) -> None:
    storage.store("moments", "talk", Moments(tuple(replace(one, score=score) for one in moments)))


def test_storing_clips_stores_a_page_that_plays_them_from_beside_it(storage: Storage) -> None:
    storage.store_until_moments("talk", 5, 25)
    assert storage.rows("SELECT 1 FROM pipeline.pages") == []
    moments = storage.store_everything("talk", 5, 25)

    page = page_of(storage)
    assert page.parent == storage.folder / "objects/pages/talk"
    assert all(one.title in page.read_text() for one in moments)
    played = media_in(page)
    assert [one.parent.parent.name for one in played] == ["videos", "clips", "clips"]
    assert all(one.is_file() for one in played)


def test_what_was_made_beside_or_after_the_clips_is_not_in_the_stored_page(
    storage: Storage,
) -> None:
    """Else a second run, in which all is there, would store another one."""
    moments = storage.store_until_moments("talk", 5, 25)
    storage.store("clips", "talk", CutClips(kept=(), cut=tuple(map(storage.cut, moments))))
    page = page_of(storage)
    storage.store_everything("talk", 5, 25)
    assert refreshed(storage) == page.as_uri()
    assert len(list(page.parent.iterdir())) == 1


def test_the_page_is_made_again_when_what_it_shows_has_changed(storage: Storage) -> None:
    moments = storage.store_everything("talk", 5)
    first = page_of(storage)
    rescored(storage, moments, 2)
    second = refreshed(storage)

    assert second == page_of(storage).as_uri() != first.as_uri()
    assert "score <b>2</b>" in page_of(storage).read_text()
    # The same again is the same page.
    rescored(storage, moments, 7)
    assert refreshed(storage) == first.as_uri()


def test_a_page_that_is_gone_is_made_again_and_else_nothing_is_read_or_written(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.store_everything("talk", 5)
    page = page_of(storage)
    content = page.read_bytes()
    page.unlink()
    assert refreshed(storage) == page.as_uri()
    assert page.read_bytes() == content

    rows = storage.asset_rows()["pipeline.pages"]
    monkeypatch.setattr(stored_page, "page_html", None)
    monkeypatch.setattr(LocalFolderStore, "put_file", None)
    assert refreshed(storage) == page.as_uri()
    assert storage.asset_rows()["pipeline.pages"] == rows


class _Context(dg.OutputContext):
    """Keeps what was logged."""

    def __init__(self) -> None:
        with dg.build_resources({}) as resources:
            super().__init__(
                asset_key=dg.AssetKey("clips"),
                partition_key="talk",
                step_key="clips",
                resources=resources,
            )
        self.warned: list[str] = []

    @property
    def log(self) -> Any:
        outer = self

        class _Log:
            def warning(self, message: str, *values: object) -> None:
                outer.warned.append(message % values)

        return _Log()


@pytest.mark.parametrize(
    "failure", [ObjectStoreUnavailable("the bucket is away"), RuntimeError("odd")]
)
def test_a_page_that_cannot_be_made_is_told_and_the_clips_are_kept(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    storage.store_everything("talk", 5)
    before = page_of(storage)
    before.unlink()

    def fails(_contents: object) -> str:
        raise failure

    monkeypatch.setattr(stored_page, "page_html", fails)
    context = _Context()
    storage.manager.handle_output(context, Unchanged())
    assert [str(failure) in message for message in context.warned] == [True]
    assert str(failure) in str(context.get_logged_metadata()["page"])
    loaded = storage.load("clips", "talk")
    assert isinstance(loaded, Clips)
    assert len(loaded.clips) == 1

    monkeypatch.undo()
    context = _Context()
    storage.manager.handle_output(context, Unchanged())
    assert context.warned == []
    at = f"/objects/pages/talk/{before.name}"
    assert context.get_logged_metadata()["page"] == dg.MetadataValue.url(at)


def test_the_page_belongs_to_its_video(storage: Storage) -> None:
    storage.store_everything("vid1", 5)
    storage.store_everything("vid10", 5)
    urls = {page_of(storage, video).as_uri() for video in ("vid1", "vid10")}
    with storage.database.read() as session:
        assert urls <= referenced_urls(session, [MOMENTS])
        assert referenced_urls(session, [MOMENTS], among=urls) == urls
    storage.rows("DELETE FROM videos WHERE identifier = 'vid1'")
    with storage.database.read() as session:
        assert referenced_urls(session, [MOMENTS], among=urls) == {
            page_of(storage, "vid10").as_uri()
        }


# The command.


def written(storage: Storage, output: Path, media: Any = "link") -> report.Report:
    return write_report(storage.database, store_of(storage), "talk", output=output, media=media)


def test_a_linking_page_plays_the_stored_files_wherever_it_is(storage: Storage) -> None:
    storage.store_everything("talk", 5, 25)
    folder = storage.folder / "a folder #1?"
    folder.mkdir()
    made = written(storage, folder / "page.html")
    assert made.notes == ()
    assert len(media_in(made.path)) == 3
    assert all(one.is_file() for one in media_in(made.path))
    assert "Refined:" in made.path.read_text()


def test_a_copying_page_can_be_moved_with_its_folder(storage: Storage) -> None:
    storage.store_everything("talk", 5, 25)
    site = storage.folder / "site"
    site.mkdir()
    made = written(storage, site / "talk page.html", "copy")
    assert made.media_folder == site / "talk page-media"
    moved = site.rename(storage.folder / "elsewhere") / "talk page.html"
    (storage.folder / "objects").rename(storage.folder / "gone")
    played = media_in(moved)
    assert len(played) == 3
    assert all(one.is_file() for one in played)
    assert all(one.is_relative_to(storage.folder / "elsewhere") for one in played)


def test_an_embedding_page_stands_alone(storage: Storage) -> None:
    storage.store_everything("talk", 5, 25)
    made = written(storage, storage.folder / "page.html", "embed")
    assert media_in(made.path) == []
    assert made.path.read_text().count(' data-content="data:video/mp4;base64,') == 2
    assert made.size_bytes == made.path.stat().st_size


def test_clips_that_are_too_large_are_not_embedded(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.store_everything("talk", 5, 25)
    monkeypatch.setattr(report, "MOST_EMBEDDED_BYTES", 10)
    with pytest.raises(SettingsRejected, match="the 2 clips of 'talk' take") as refused:
        written(storage, storage.folder / "page.html", "embed")
    assert "--media copy" in refused.value.remedy
    assert not (storage.folder / "page.html").exists()


def test_the_same_data_give_the_same_bytes_and_replace_the_page(storage: Storage) -> None:
    storage.store_everything("talk", 5, 25)
    target = storage.folder / "page.html"
    target.write_text("what was there")
    first = written(storage, target).path.read_bytes()
    assert written(storage, target).path.read_bytes() == first
    assert not list(storage.folder.glob(".part-*"))


def test_where_the_video_is_gone_the_page_plays_its_clips(storage: Storage) -> None:
    storage.store_everything("talk", 5, 25)
    for path in (storage.folder / "objects/videos").rglob("*.mp4"):
        path.unlink()
    made = written(storage, storage.folder / "page.html")
    assert [one.parent.parent.name for one in media_in(made.path)] == ["clips", "clips"]
    assert "1 of 3 media files are gone" in made.notes[0]


def test_media_out_of_reach_leave_a_page_that_says_how_to_get_them(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.store_everything("talk", 5)
    monkeypatch.setattr(LocalFolderStore, "local_path", lambda _store, _url: None)
    made = written(storage, storage.folder / "page.html")
    assert "--media copy" in made.notes[0]
    assert "--media copy" in made.path.read_text()
    assert "<video" not in made.path.read_text()


def test_what_cannot_be_written_is_refused_in_a_sentence(storage: Storage) -> None:
    with pytest.raises(ResultMissing, match="nothing is stored of a video 'talk'"):
        written(storage, storage.folder / "page.html")
    storage.store_until_moments("talk", 5)
    with pytest.raises(SettingsRejected, match="there is no folder"):
        written(storage, storage.folder / "none" / "page.html")
    with pytest.raises(SettingsRejected, match="is a folder"):
        written(storage, storage.folder)
    with pytest.raises(IdentifierRejected):
        write_report(
            storage.database,
            store_of(storage),
            "../talk",
            output=storage.folder / "page.html",
            media="link",
        )


def test_a_video_without_clips_has_a_page(storage: Storage) -> None:
    storage.store_until_moments("talk", 5)
    made = written(storage, storage.folder / "page.html")
    assert "There is no clip." in made.path.read_text()
