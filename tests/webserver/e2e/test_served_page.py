"""The stored page, its clips and pictures in a real browser, as the webserver serves them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from chromium import MISSING, chromium_executable
from gcs_emulator import BUCKET, google_storage
from pipeline import new_pipeline, talk_captions
from postgres import fresh_database
from served_files import Served, serving

from videomoments_dagster.core import resources

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

PLAYS = "film => film.play().then(() => film.videoWidth, error => String(error))"


@dataclass(frozen=True)
class ServedTalk:
    """The talk's files, in a folder or a bucket that is served.

    Attributes:
        served: The webserver.
        page: Address of the page.
        clip: Address of a clip.
        thumbnail: Address of a thumbnail.
    """

    served: Served
    page: str
    clip: str
    thumbnail: str


@pytest.fixture(scope="module")
def stored(
    postgres_server: str,
    migrated_template: str,
    talk_video: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """A folder of objects, with the talk."""
    if chromium_executable() is None:
        pytest.skip(MISSING)
    folder = tmp_path_factory.mktemp("served")
    captions = folder / "talk.srt"
    captions.write_text(talk_captions())
    with (
        fresh_database(postgres_server, template=migrated_template) as url,
        pytest.MonkeyPatch.context() as environment,
        new_pipeline(url, folder / "home", environment) as pipeline,
    ):
        assert pipeline.run(pipeline.add(talk_video, captions=str(captions))).row.status == (
            "completed"
        )
        yield folder / "home/objects"


@pytest.fixture(scope="module", params=["a folder", "a bucket"])
def talk(
    request: pytest.FixtureRequest, stored: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedTalk]:
    with pytest.MonkeyPatch.context() as environment:
        if request.param == "a folder":
            with serving(str(stored), tmp_path_factory.mktemp("put"), environment) as served:
                yield _served_talk(served)
            return
        with google_storage() as storage:
            storage.reset()
            environment.setenv("STORAGE_EMULATOR_HOST", storage.url)
            resources.google_client.cache_clear()
            resources._store.cache_clear()
            root = f"gs://{BUCKET}/films"
            with serving(root, tmp_path_factory.mktemp("put"), environment) as served:
                for file in filter(Path.is_file, stored.rglob("*")):
                    served.put(str(file.relative_to(stored)), file.read_bytes())
                yield _served_talk(served)
            resources.google_client("").close()
        resources.google_client.cache_clear()
        resources._store.cache_clear()


def _served_talk(served: Served) -> ServedTalk:
    first: dict[str, Any] = {
        kind: next(iter(served.store.list(kind))).key for kind in ("pages", "clips", "thumbnails")
    }
    addresses = (f"{served.address}/objects/{key}" for key in first.values())
    return ServedTalk(served, *addresses)


def test_the_page_plays_its_video_and_seeks_in_it(talk: ServedTalk, page: Page) -> None:
    said = troubles_of(page)
    page.goto(talk.page)
    page.get_by_role("region", name="Moments").get_by_role("listitem").last.get_by_role(
        "button"
    ).first.click()
    film = page.locator("video")
    page.wait_for_function(
        "film => film.readyState >= 2 && film.currentTime > 20", arg=film.element_handle()
    )
    assert film.evaluate("film => film.videoWidth") > 0
    assert "/objects/videos/" in film.evaluate("film => film.currentSrc")
    assert said == []


def test_the_page_plays_its_clips_where_the_video_is_gone(talk: ServedTalk, page: Page) -> None:
    page.route("**/objects/videos/**", lambda route: route.abort())
    page.goto(talk.page)
    page.get_by_role("region", name="Moments").get_by_role("button").nth(1).click()
    film = page.locator("video")
    page.wait_for_function("film => film.readyState >= 2", arg=film.element_handle())
    assert "/objects/clips/" in film.evaluate("film => film.currentSrc")


def test_a_clip_is_downloaded_under_its_name(talk: ServedTalk, page: Page) -> None:
    page.goto(talk.page)
    with page.expect_download() as awaited:
        page.get_by_role("link", name="Download clip 1").click()
    assert awaited.value.suggested_filename.endswith("-clip-01.mp4")
    assert awaited.value.path().stat().st_size > 10_000


def test_a_clip_and_a_picture_open_by_themselves(talk: ServedTalk, page: Page) -> None:
    page.goto(talk.clip)
    film: Locator = page.locator("video")
    page.wait_for_function("film => film.readyState >= 2", arg=film.element_handle())
    assert film.evaluate(PLAYS) > 0
    page.goto(talk.thumbnail)
    assert page.locator("img").evaluate("seen => seen.naturalWidth") > 100


def test_a_page_that_somebody_else_wrote_runs_no_script(talk: ServedTalk, page: Page) -> None:
    said: list[str] = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    script = (
        b"<h1>Hello</h1><script>alert(1)</script><img src=x onerror=alert(2)>"
        b"<form action=/graphql method=post><input name=query></form>"
        b"<iframe srcdoc='<script>alert(3)</script>'></iframe><script src=/objects/a.js></script>"
    )
    key = talk.served.put("pages/talk/fedcba9876543210.html", script)
    page.goto(f"{talk.served.address}/objects/{key}")
    page.get_by_role("heading", name="Hello").wait_for()
    page.evaluate("document.forms[0].submit()")
    page.wait_for_timeout(300)
    assert said == []
    assert page.url.endswith(key)


def troubles_of(page: Page) -> list[str]:
    """What a page's console says of errors, as it comes."""
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on(
        "console",
        lambda message: said.append(message.text) if message.type == "error" else None,
    )
    return said
