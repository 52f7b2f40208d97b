"""The pictures in `docs/pictures`, taken of the demo: `make screenshots`.

Belongs here: what each picture shows. A new one is one more entry in `SHOTS`. The demo runs in a
home of its own, which is gone afterwards; it takes about a minute and needs Chromium.

Starting the browser and `videomoments dev` are the tests' (`tests/chromium.py`,
`tests/dev_process.py`), which the make target puts on the path.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chromium import MISSING, chromium_executable, launched, opened_page
from dev_process import COMMAND, START_SECONDS, asked, dev, free_port, new_dev_home, says, until

from videomoments_dagster.media.ffmpeg import ffmpeg_executable

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FloatRect, Locator, Page

PICTURES = Path(__file__).with_name("pictures")
MAX_BYTES = 150_000
VIDEO = "demo"

_RUN_SECONDS = 600
_SETTLED_SECONDS = 60
_LOOK_MS = 400


@dataclass(frozen=True)
class Demo:
    """Where the demo can be seen.

    Attributes:
        ui: Address of Dagster's UI.
        page: Address of the video's page.
    """

    ui: str
    page: str


@dataclass(frozen=True)
class Shot:
    """One picture.

    Attributes:
        name: Its file, without `.png`.
        show: Leads the browser there and gives the part of the window to take; None for all of it.
        width: Width of the window in CSS pixels.
        height: Height of the window in CSS pixels.
        context: Further options of the browser's context: colours, touch, pixels per CSS pixel.
    """

    name: str
    show: Callable[[Page, Demo], FloatRect | None]
    width: int = 1280
    height: int = 800
    context: dict[str, Any] = field(default_factory=dict)


def lineage(page: Page, demo: Demo) -> FloatRect:
    """The seven assets, all of them materialised and checked, from the first to the last."""
    page.add_init_script("localStorage.setItem('asset-graph-direction', '\"vertical\"')")
    page.goto(f"{demo.ui}/locations/videomoments/asset-groups/moments/lineage")
    page.get_by_role("button", name="Hide navigation").click()
    graph = page.get_by_role("img").filter(has_text="refined_moments")
    graph.wait_for()
    settle(page)
    return around(*graph.locator("foreignObject").all(), margin=10)


def metadata(asset: str, *, until: str) -> Callable[[Page, Demo], FloatRect]:
    """What the UI tells about an asset's latest materialisation, as far as one entry."""

    def show(page: Page, demo: Demo) -> FloatRect:
        events(page, demo, asset)
        settle(page)
        heading = page.get_by_text("Metadata", exact=True).first
        table = page.get_by_role("table").filter(has=page.get_by_role("row")).first
        left, _, right, _ = edges(table)
        _, top, _, _ = edges(heading)
        *_, bottom = edges(entry(page, until))
        left, top, right, bottom = left - 8, top - 10, right + 8, bottom + 1
        return {"x": left, "y": top, "width": right - left, "height": bottom - top}

    return show


def entry(page: Page, name: str) -> Locator:
    """One entry of the metadata."""
    return page.get_by_role("row").filter(has=page.get_by_role("cell", name=name, exact=True))


def checks(asset: str) -> Callable[[Page, Demo], FloatRect | None]:
    """The checks of an asset, and what they found."""

    def show(page: Page, demo: Demo) -> None:
        page.goto(f"{demo.ui}/assets/{asset}?view=checks")
        page.get_by_role("button", name="Hide navigation").click()
        settle(page)

    return show


def picture(asset: str, name: str) -> Callable[[Page, Demo], FloatRect]:
    """One entry of the metadata, opened."""

    def show(page: Page, demo: Demo) -> FloatRect:
        events(page, demo, asset)
        entry(page, name).get_by_text("[Show Markdown]").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("img").last.wait_for()
        settle(page)
        return around(dialog)

    return show


def video_page(page: Page, demo: Demo) -> None:
    """The page of the video, in its second moment."""
    page.goto(demo.page)
    video = page.locator("video")
    video.evaluate("(video, seconds) => { video.currentTime = seconds }", 65)
    page.wait_for_function("video => !video.seeking", arg=video.element_handle())


SHARP = {"device_scale_factor": 1.5}

SHOTS = (
    Shot("lineage", lineage, width=1000, height=1600),
    Shot("moments", metadata("moments", until="best_score"), height=1600, context=SHARP),
    Shot("video", metadata("video", until="size_bytes"), width=1700, height=1600),
    Shot("transcript", metadata("transcript", until="words"), height=1600),
    Shot(
        "generation-config",
        metadata("generation_config", until="profile"),
        width=1500,
        height=1600,
    ),
    Shot("clips", metadata("clips", until="encoded"), width=1500, height=1600),
    Shot("checks", checks("moments"), width=1150, height=620),
    Shot("timeline", picture("moments", "timeline_large")),
    Shot("contact-sheet", picture("thumbnails", "contact_sheet")),
    Shot("page", video_page, height=1000),
    Shot(
        "page-phone-dark",
        video_page,
        width=390,
        height=844,
        context={
            "color_scheme": "dark",
            "is_mobile": True,
            "has_touch": True,
            "device_scale_factor": 2,
        },
    ),
)


def events(page: Page, demo: Demo, asset: str) -> None:
    """Go to an asset's latest materialisation."""
    page.goto(f"{demo.ui}/assets/{asset}?view=events")
    page.get_by_role("button", name="Hide navigation").click()
    page.get_by_text("materialized").wait_for()


def around(*parts: Locator, margin: float = 0) -> FloatRect:
    """The smallest part of the window that holds all of these."""
    found = [edges(part) for part in parts]
    left, top = (min(one[side] for one in found) - margin for side in (0, 1))
    right, bottom = (max(one[side] for one in found) + margin for side in (2, 3))
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}


def edges(part: Locator) -> tuple[float, float, float, float]:
    """Where a part begins and ends: left, top, right and bottom in CSS pixels."""
    box = part.bounding_box()
    if box is None:
        sys.exit(f"{part} is not to be seen.")
    return box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]


def settle(page: Page) -> None:
    """Wait until everything has come and nothing moves any more."""
    page.wait_for_load_state("networkidle")
    deadline = time.monotonic() + _SETTLED_SECONDS
    before, now = b"", page.screenshot()
    while before != now or page.get_by_text("Loading").count():
        if time.monotonic() > deadline:
            sys.exit(f"{page.url} does not come to rest.")
        page.wait_for_timeout(_LOOK_MS)
        before, now = now, page.screenshot()


def take(browser: Browser, shot: Shot, demo: Demo) -> None:
    """Take one picture and put it into its place.

    Raises:
        SystemExit: If it is too large for a repository.
    """
    window = {"width": shot.width, "height": shot.height}
    target = PICTURES / f"{shot.name}.png"
    with opened_page(browser, viewport=window, **shot.context) as page:
        part = shot.show(page, demo)
        settle(page)
        content = in_few_colours(page.screenshot(clip=part))
    if len(content) > MAX_BYTES:
        sys.exit(f"{target.name} has {len(content)} bytes, more than {MAX_BYTES}.")
    unfinished = target.with_name(f".{target.name}")
    unfinished.write_bytes(content)
    unfinished.replace(target)
    print(f"{PICTURES.name}/{target.name}  {len(content) / 1000:.0f} kB")


def in_few_colours(content: bytes) -> bytes:
    """A PNG with 256 colours, which a screenshot hardly shows, in a third of the bytes."""
    done = subprocess.run(
        [
            *(ffmpeg_executable(), "-nostdin", "-v", "error", "-f", "png_pipe", "-i", "pipe:0"),
            *("-vf", "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=dither=none"),
            *("-pred", "none", "-compression_level", "9", "-f", "image2pipe", "-c:v", "png"),
            "pipe:1",
        ],
        input=content,
        capture_output=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def main() -> None:
    """Run the demo, start the UI, and take all pictures, or those that are named."""
    chosen = [shot for shot in SHOTS if not sys.argv[1:] or shot.name in sys.argv[1:]]
    executable = chromium_executable()
    if executable is None:
        sys.exit(f"There is {MISSING}")
    PICTURES.mkdir(exist_ok=True)
    port = free_port()
    with new_dev_home() as home:
        command(home, "demo")
        page = home / "demo.html"
        command(home, "report", VIDEO, "--output", str(page))
        with dev(home, port=port) as process, launched(executable) as browser:
            address = f"http://127.0.0.1:{port}"
            until(says(home, address), seconds=START_SECONDS, process=process, home=home)
            check_what_is_stored(port, process=process, home=home)
            for shot in chosen:
                take(browser, shot, Demo(ui=address, page=page.as_uri()))


def check_what_is_stored(port: int, *, process: Any, home: Path) -> None:
    """Run the job for it, so that no check is without a result."""
    run = asked(
        port,
        'mutation { launchPipelineExecution(executionParams: { mode: "default", selector: {'
        ' pipelineName: "check_stored_results", repositoryName: "__repository__",'
        ' repositoryLocationName: "videomoments" }, executionMetadata: { tags: ['
        f' {{ key: "dagster/partition", value: "{VIDEO}" }} ] }} }})'
        " { ... on LaunchRunSuccess { run { runId } } } }",
    )["launchPipelineExecution"]["run"]["runId"]
    state = f'{{ runOrError(runId: "{run}") {{ ... on Run {{ status }} }} }}'
    until(
        lambda: asked(port, state)["runOrError"]["status"] == "SUCCESS",
        seconds=_RUN_SECONDS,
        process=process,
        home=home,
    )


def command(home: Path, *arguments: str) -> None:
    """Run `videomoments` there.

    Raises:
        SystemExit: If it fails; what it said has been shown.
    """
    done = subprocess.run(
        [*COMMAND[:-1], *arguments],
        env={**os.environ, "VIDEOMOMENTS_HOME": str(home)},
        timeout=_RUN_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"`videomoments {' '.join(arguments)}` failed.")


if __name__ == "__main__":
    main()
