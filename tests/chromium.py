"""Headless Chromium: for tests that see what a person sees, and for the pictures in `docs`.

Belongs here: finding and starting the browser, and a picture of the page where a test failed. It
never fetches a browser: the system's is used, and without one the tests are skipped.

Playwright's synchronous interface keeps an event loop running in the thread that uses it, in which
`asyncio.run` then refuses to work. So the browser lives as long as one module's tests, and whatever
else those need is made before it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
MISSING = "no Chromium on the PATH; on Debian: apt-get install --no-install-recommends chromium"

# Generous: the machine may be busy with the other workers' tests.
WAIT_MS = 30_000

FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # What is looked at is on this machine; a name that would have to be looked up fails at once.
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def chromium_executable() -> str | None:
    """The system's Chromium or Chrome, if there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def launched(executable: str) -> Iterator[Browser]:
    """A headless browser with a new, empty profile, gone after the block."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=FLAGS,
            # Chromium's sandbox refuses to work for root.
            chromium_sandbox=os.geteuid() != 0,
            timeout=WAIT_MS,
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened_page(browser: Browser, **options: Any) -> Iterator[Page]:
    """A page of its own, without the cookies and storage of others."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    try:
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        yield page
    finally:
        context.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    executable = chromium_executable()
    if executable is None:
        pytest.skip(MISSING)
    with launched(executable) as browser:
        yield browser


@pytest.fixture
def page(chromium: Browser, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """An empty page; a test's parameters for it are options of the browser's context."""
    del tmp_path  # Where the picture goes if the test fails.
    with opened_page(chromium, **getattr(request, "param", {})) as opened:
        yield opened


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep a picture of what a failed test had before its eyes."""
    report = yield
    seen = getattr(item, "funcargs", {})
    if report.when == "call" and report.failed and {"page", "tmp_path"} <= seen.keys():
        picture = seen["tmp_path"] / "page.png"
        try:
            seen["page"].screenshot(path=picture, timeout=10_000)
            report.sections.append(("Picture of the page", str(picture)))
        except Exception as problem:  # noqa: BLE001 - the test's own failure matters more
            report.sections.append(("No picture of the page", str(problem)))
    return report
