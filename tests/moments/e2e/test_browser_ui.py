"""Dagster's UI in a real browser, as a data engineer uses it; `videomoments dev` is behind it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from chromium import MISSING, chromium_executable
from dev_process import COMMAND, START_SECONDS, dev, free_port, new_dev_home, until_up
from pipeline import ASSETS, PROFILES, talk_captions
from postgres import fresh_database, rows_of

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


# The first test has to wait for `videomoments dev`.
pytestmark = pytest.mark.timeout(420)

RUN_MS = 120_000


@dataclass(frozen=True)
class RunningUi:
    """A `videomoments dev` that has the talk, whole, as its only video."""

    address: str
    rows: Callable[..., list[Any]]


@pytest.fixture(scope="module")
def ui(postgres_server: str, migrated_template: str, talk_video: Path) -> Iterator[RunningUi]:
    if chromium_executable() is None:
        pytest.skip(MISSING)
    port = free_port()
    with (
        new_dev_home() as home,
        fresh_database(postgres_server, template=migrated_template) as url,
        fresh_database(postgres_server) as dagster_url,
        rows_of(url) as rows,
    ):
        profiles, captions = home / "profiles.yaml", home / "talk.srt"
        profiles.write_text(yaml.safe_dump(PROFILES))
        captions.write_text(talk_captions())
        environment = {
            "DATABASE_URL": url,
            "VIDEOMOMENTS_DAGSTER_DATABASE_URL": dagster_url,
            "VIDEOMOMENTS_PROFILES": str(profiles),
            "VIDEOMOMENTS_TRANSCRIPTION_ENGINE": "captions",
            "VIDEOMOMENTS_CLIP_PADDING_LEFT": "1",
            "VIDEOMOMENTS_CLIP_PADDING_RIGHT": "2",
        }

        def command(*arguments: str) -> None:
            done = subprocess.run(
                [*COMMAND[:-1], *arguments],
                env={**os.environ, **environment, "VIDEOMOMENTS_HOME": str(home)},
                capture_output=True,
                text=True,
                timeout=START_SECONDS,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr

        with dev(home, port=port, **environment) as process:
            # Meanwhile, since both spend much of their time on imports.
            command("add", str(talk_video), "--identifier=talk", f"--captions={captions}")
            command("run", "talk")
            until_up(port, process=process, home=home)
            yield RunningUi(f"http://127.0.0.1:{port}", rows)


def test_the_graph_of_the_group_shows_the_seven_assets(ui: RunningUi, page: Page) -> None:
    from playwright.sync_api import expect

    page.goto(f"{ui.address}/assets")
    page.get_by_role("navigation").get_by_role("link", name="Lineage").click()
    page.wait_for_url("**/asset-groups**")
    graph = page.get_by_role("img").filter(has_text="refined_moments")
    for asset in ASSETS:
        expect(graph.get_by_text(asset, exact=True)).to_be_visible()


def test_clips_only_launched_by_clicks_ends_green_and_cuts_the_clip_that_was_missing(
    ui: RunningUi, page: Page
) -> None:
    from playwright.sync_api import expect

    clips = "SELECT cloud_url FROM clips ORDER BY cloud_url"
    whole = ui.rows(clips)
    assert len(whole) >= 3
    lost = ui.rows("DELETE FROM clips WHERE cloud_url = %s RETURNING 1", whole[0][0])
    assert lost == [(1,)]

    page.goto(ui.address)
    page.get_by_role("navigation").get_by_role("link", name="Jobs").click()
    page.get_by_role("link", name="clips_only").click()
    page.get_by_role("button", name="Materialize all").click()
    dialog = page.get_by_role("dialog").filter(has_text="Launch runs to materialize")
    dialog.get_by_text("Select a partition").click()
    dialog.get_by_role("menuitem", name="talk").click()
    dialog.get_by_role("button", name="Launch 1 run").click()
    page.get_by_role("region", name="Notifications").get_by_role("link", name="View").click()
    page.wait_for_url("**/runs/*")
    ended = page.get_by_text(re.compile("^(Success|Failure|Canceled)$")).first
    ended.wait_for(timeout=RUN_MS)
    expect(ended).to_have_text("Success")
    assert ui.rows(clips) == whole


@pytest.mark.parametrize("asset", ["moments", "thumbnails"])
def test_the_pictures_in_the_metadata_of_an_asset_are_shown(
    ui: RunningUi, page: Page, asset: str
) -> None:
    from playwright.sync_api import expect

    page.goto(f"{ui.address}/assets/{asset}")
    page.get_by_role("tab", name="Events").click()
    expect(page.get_by_text("materialized")).to_be_visible()
    widths = decoded_widths(page.get_by_role("row"))
    # Markdown of 1,000 characters and more is behind these.
    for behind in page.get_by_text("[Show Markdown]").all():
        behind.click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("paragraph").first).to_be_visible()
        widths += decoded_widths(dialog)
        dialog.get_by_role("button", name="Close").click()
        expect(dialog).to_be_hidden()
    assert widths
    assert min(widths) >= 100


@pytest.mark.parametrize(
    ("asset", "name", "folder"),
    [
        ("video", re.compile("objects.videos."), "videos"),
        ("clips", re.compile(r"^0:\d\d\.\d to "), "clips"),
        ("clips", re.compile("objects.pages."), "pages"),
        ("thumbnails", re.compile("^video$"), "thumbnails"),
    ],
    ids=["video", "clip", "page", "thumbnail"],
)
def test_a_link_in_the_metadata_of_an_asset_opens_the_file(
    ui: RunningUi, page: Page, asset: str, name: re.Pattern[str], folder: str
) -> None:
    page.goto(f"{ui.address}/assets/{asset}")
    page.get_by_role("tab", name="Events").click()
    link = page.get_by_role("link", name=name).first
    with page.context.expect_event("response", lambda got: "/objects/" in got.url) as awaited:
        link.click()
    assert awaited.value.ok
    assert awaited.value.url.startswith(f"{ui.address}/objects/{folder}/talk/")


def decoded_widths(where: Locator) -> list[int]:
    """Widths of Markdown's pictures once they are decoded; 0 for what cannot be."""
    return [
        picture.evaluate("seen => seen.decode().then(() => seen.naturalWidth, () => 0)")
        for picture in where.get_by_role("paragraph").get_by_role("img").all()
    ]
