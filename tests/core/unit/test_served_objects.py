"""Where people open stored objects."""

from __future__ import annotations

from pathlib import Path

import pytest

from videomoments_dagster.core.metadata_values import link
from videomoments_dagster.core.objects.local_folder import LocalFolderStore
from videomoments_dagster.core.objects.served import ServedObjects

UI = "http://127.0.0.1:3000"
KEY = "videos/talk/a b%20\u00fc#?.mp4"
QUOTED = "videos/talk/a%20b%2520%C3%BC%23%3F.mp4"


def test_a_file_of_a_folder_and_one_of_a_bucket_are_at_their_keys() -> None:
    folder = LocalFolderStore(Path("/srv/films & more"))
    of_folder = ServedObjects(folder.root_url, UI)
    assert of_folder.path(folder.url_of(KEY)) == f"/objects/{QUOTED}"
    of_bucket = ServedObjects("gs://films/2026", UI)
    assert of_bucket.path(f"gs://films/2026/{KEY}") == f"/objects/{QUOTED}"


@pytest.mark.parametrize(
    ("ui", "path", "host"),
    [
        (UI, "/objects/", UI),
        ("https://lab.example.org/", "/objects/", "https://lab.example.org"),
        ("https://lab.example.org/dagster", "/dagster/objects/", "https://lab.example.org"),
    ],
)
def test_they_are_below_the_address_of_the_ui(ui: str, path: str, host: str) -> None:
    served = ServedObjects("gs://films", ui)
    assert served.path("gs://films/clips/talk/a.mp4") == f"{path}clips/talk/a.mp4"
    assert served.address("gs://films/clips/talk/a.mp4") == f"{host}{path}clips/talk/a.mp4"


def test_what_another_store_kept_is_not_there() -> None:
    served = ServedObjects("gs://films/2026", UI)
    for url in ("gs://films/20261/a.mp4", "gs://films/2025/a.mp4", "file:///films/2026/a.mp4"):
        assert served.path(url) is None
        assert served.address(url) is None


def test_the_ui_links_to_a_stored_file_and_gives_the_path_of_a_file_of_another_store() -> None:
    served = ServedObjects("file:///srv/films", UI)
    assert link("file:///srv/films/clips/a.mp4", served).value == "/objects/clips/a.mp4"
    assert link("file:///other/clips/a%20b.mp4", served).value == "/other/clips/a b.mp4"
    in_bucket = link("gs://films/clips/a.mp4", served).value
    assert in_bucket == "https://storage.cloud.google.com/films/clips/a.mp4"
