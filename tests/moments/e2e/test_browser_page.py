"""The page of a video in a real browser, opened from the disk as whoever was sent it does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from chromium import MISSING, chromium_executable
from ffmpeg_readings import made
from pipeline import SENTENCES, TALK_SECONDS, new_pipeline, talk_captions
from postgres import fresh_database

from videomoments_dagster.cli.main import main
from videomoments_dagster.media.probe import probe
from videomoments_dagster.moments.page.page import PageContents, page_html
from videomoments_dagster.moments.page.page_addresses import relative_address
from videomoments_dagster.moments.records import Video
from videomoments_dagster.moments.stored_videos import StoredVideo
from videomoments_dagster.speech.transcripts import Segment, Transcript, Word

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

HOSTILE_TITLE = "<script>alert(1)</script>"

DESKTOP = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


@dataclass(frozen=True)
class WrittenPage:
    """The page of the talk, under a title that is a script.

    Attributes:
        address: The file, as a browser opens it.
        moments: Title, start and end of each moment, in seconds, by time.
    """

    address: str
    moments: list[tuple[str, float, float]]


@pytest.fixture(scope="module")
def written(
    postgres_server: str,
    migrated_template: str,
    talk_video: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[WrittenPage]:
    if chromium_executable() is None:
        pytest.skip(MISSING)
    folder = tmp_path_factory.mktemp("page")
    captions, output = folder / "talk.srt", folder / "talk.html"
    captions.write_text(talk_captions())
    with (
        fresh_database(postgres_server, template=migrated_template) as url,
        pytest.MonkeyPatch.context() as environment,
        new_pipeline(url, folder / "home", environment) as pipeline,
    ):
        talk = pipeline.add(talk_video, captions=str(captions), title=HOSTILE_TITLE)
        assert pipeline.run(talk).row.status == "completed"
        main(["report", talk, "--output", str(output)], standalone_mode=False)
        moments = pipeline.rows(
            "SELECT title, start_time, end_time FROM moments WHERE NOT is_refined ORDER BY 2"
        )
        assert len(moments) >= 3
        yield WrittenPage(output.as_uri(), moments)


def player(page: Page) -> Locator:
    return page.get_by_label(HOSTILE_TITLE, exact=True)


def wait_for_player(page: Page, *, start: float, end: float) -> None:
    """Wait until what is shown is between the two, in seconds."""
    page.wait_for_function(
        "([video, start, end]) => !video.seeking && video.readyState >= 2"
        " && video.currentTime >= start && video.currentTime < end",
        arg=[player(page).element_handle(), start, end],
    )


def current(items: Locator) -> Locator:
    """The one that is marked, for those who see it and for those who hear it."""
    return items.and_(items.page.locator("[aria-current=true]"))


def test_a_click_on_a_moment_moves_the_player_to_it(written: WrittenPage, page: Page) -> None:
    from playwright.sync_api import expect

    page.goto(written.address)
    moments = page.get_by_role("region", name="Moments").get_by_role("listitem")
    expect(moments).to_have_count(len(written.moments))
    for number in (-1, 0):
        title, start, end = written.moments[number]
        moments.nth(number).get_by_role("button", name=title).click()
        wait_for_player(page, start=start - 0.05, end=end)
        expect(current(moments)).to_have_count(1)
        expect(current(moments)).to_contain_text(title)


def test_a_click_on_the_timeline_moves_the_player_too(written: WrittenPage, page: Page) -> None:
    page.goto(written.address)
    _, start, end = written.moments[1]
    bars = page.get_by_role("group", name="Timeline").get_by_role("link")
    bars.nth(1).click()
    wait_for_player(page, start=start - 0.05, end=end)


def test_the_transcript_follows_the_player_and_moves_it_on_a_click(
    written: WrittenPage, page: Page
) -> None:
    from playwright.sync_api import expect

    page.goto(written.address)
    transcript = page.get_by_role("region", name="Transcript")
    lines = transcript.get_by_role("listitem")
    for seconds, topic in ((50, "trains"), (34, "bees"), (3, "bread")):
        player(page).evaluate("(video, seconds) => { video.currentTime = seconds }", seconds)
        expect(current(lines)).to_have_count(1)
        expect(current(lines)).to_contain_text(SENTENCES[topic])
        expect(current(lines)).to_be_in_viewport()
    transcript.get_by_role("button", name="0:18", exact=True).click()
    wait_for_player(page, start=17.9, end=TALK_SECONDS)
    expect(current(lines)).to_contain_text(SENTENCES["tides"])


def test_a_picture_opens_large_by_click_and_by_key_and_closes_again(
    written: WrittenPage, page: Page
) -> None:
    from playwright.sync_api import expect

    page.goto(written.address)
    title, _, _ = written.moments[1]
    small = page.get_by_role("link", name=f"Large picture of {title}")
    large = page.get_by_role("dialog", name="Large picture")
    width = small.get_by_role("presentation").evaluate("seen => seen.naturalWidth")
    small.click()
    picture = large.get_by_role("img", name=title)
    expect(picture).to_be_visible()
    assert picture.evaluate("seen => seen.decode().then(() => seen.naturalWidth)") > width
    # The player's keys are not the picture's.
    page.keyboard.press("Space")
    assert player(page).evaluate("film => film.paused")
    expect(large).to_be_hidden()

    small.focus()
    page.keyboard.press("Enter")
    expect(picture).to_be_visible()
    page.keyboard.press("Escape")
    expect(large).to_be_hidden()
    expect(small).to_be_focused()
    small.click()
    page.mouse.click(5, 5)
    expect(large).to_be_hidden()


def test_the_best_moments_come_first_where_that_is_asked_for(
    written: WrittenPage, page: Page
) -> None:
    page.goto(written.address)
    moments = page.get_by_role("region", name="Moments")
    scores = "cards => cards.map(card => Number(card.dataset.score))"
    titles = [title for title, _, _ in written.moments]
    cards = moments.get_by_role("listitem")
    by_time = cards.evaluate_all(scores)
    assert [card.get_by_role("button").first.inner_text() for card in cards.all()] == titles

    moments.get_by_role("button", name="Best first", pressed=False).click()
    assert cards.evaluate_all(scores) == sorted(by_time, reverse=True)
    moments.get_by_role("button", name="Best first", pressed=True).click()
    assert cards.evaluate_all(scores) == by_time


def test_a_search_leaves_the_lines_with_all_its_words(written: WrittenPage, page: Page) -> None:
    from playwright.sync_api import expect

    page.goto(written.address)
    transcript = page.get_by_role("region", name="Transcript")
    lines = transcript.get_by_role("listitem")
    count = lines.count()
    page.keyboard.press("/")
    page.keyboard.type("FLO\u00dcR b\u00e1ker")
    expect(transcript.get_by_role("status")).to_have_text("5 lines")
    assert {line.locator("p").inner_text() for line in lines.all()} == {SENTENCES["bread"]}
    page.keyboard.press("Backspace")
    page.keyboard.type("x")
    expect(transcript.get_by_role("status")).to_have_text("Nothing found")
    page.keyboard.press("Escape")
    expect(lines).to_have_count(count)
    expect(player(page)).to_be_focused()


def test_keys_work_after_the_list_of_them_was_opened_and_closed(
    written: WrittenPage, page: Page
) -> None:
    page.goto(written.address)
    wait_for_player(page, start=0, end=1)
    page.keyboard.press("?")
    page.get_by_text("play or pause").wait_for(state="visible")
    page.keyboard.press("Escape")
    page.get_by_text("play or pause").wait_for(state="hidden")
    page.keyboard.press("Space")
    page.wait_for_function("video => !video.paused", arg=player(page).element_handle())
    page.get_by_text("play or pause").wait_for(state="hidden")


def test_a_title_that_is_a_script_is_shown_and_not_run(written: WrittenPage, page: Page) -> None:
    from playwright.sync_api import expect

    said: list[str] = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(written.address)
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE_TITLE)
    expect(page).to_have_title(HOSTILE_TITLE)
    page.get_by_role("region", name="Moments").get_by_role("button").first.click()
    wait_for_player(page, start=0, end=TALK_SECONDS)
    assert said == []


@pytest.mark.parametrize(
    "page",
    [
        pytest.param({**device, "color_scheme": colours}, id=f"{name}-{colours}")
        for name, device in (("desktop", DESKTOP), ("phone", PHONE))
        for colours in ("light", "dark")
    ],
    indirect=True,
)
def test_nothing_on_the_page_keeps_people_from_using_it(written: WrittenPage, page: Page) -> None:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import expect

    page.goto(written.address)
    # As it looks in use: something is current, and what is folded is open.
    player(page).evaluate("video => { video.currentTime = 34 }")
    expect(current(page.get_by_role("listitem")).first).to_be_visible()
    for folded in page.get_by_role("group").and_(page.locator("details")).all():
        folded.evaluate("details => { details.open = true }")
    found = Axe().run(page).response
    assert len(found["passes"]) > 10
    serious: list[Any] = [
        (one["impact"], one["id"], [node["target"] for node in one["nodes"]])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []
    # Nothing is wider than the screen.
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_line_of_a_file_that_starts_late_plays_where_it_is_said(
    page: Page, talk_video: Path, tmp_path: Path
) -> None:
    from playwright.sync_api import expect

    late = ["-itsoffset", "3", "-i", str(talk_video), "-itsoffset", "2", "-i", str(talk_video)]
    copied = ["-map", "0:v", "-map", "1:a", "-c", "copy", "-copyts"]
    video = made(tmp_path / "late.mkv", *late, *copied, "-avoid_negative_ts", "disabled")
    facts = probe(video)
    assert facts.origin_seconds == pytest.approx(2.0, abs=0.03)
    transcript = Transcript(
        full_text="First. Second. Third.",
        words=(Word("First.", 1.0, 2.0), Word("Second.", 20.0, 21.0), Word("Third.", 22.5, 23.0)),
        segments=(
            Segment("First.", 1.0, 2.0),
            Segment("Second.", 20.0, 21.0),
            Segment("Third.", 22.5, 23.0),
        ),
        language="en",
        transcription_service="captions",
        processing_time_seconds=1.0,
    )
    stored = StoredVideo(
        video=Video("late", None, video.as_uri(), "0" * 64, facts, HOSTILE_TITLE),
        transcript=transcript,
    )
    written = tmp_path / "late.html"
    written.write_text(
        page_html(PageContents(stored, video_address=relative_address([video.name])))
    )
    page.goto(written.as_uri())
    lines = page.get_by_role("region", name="Transcript").get_by_role("listitem")
    page.get_by_role("button", name="0:20", exact=True).click()
    wait_for_player(page, start=20 + facts.origin_seconds - 0.05, end=22.4 + facts.origin_seconds)
    expect(current(lines)).to_contain_text("Second.")
