"""Files of a store as the real webserver's stack sends them, from a folder and from a bucket."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gcs_emulator import BUCKET, Fault, GoogleStorage
from served_files import Served, serving

from videomoments_dagster.core import resources

CONTENT = bytes(range(256)) * 5000
"""More than one block."""

CLIP = "clips/talk/1-0123456789abcdef.mp4"
PAGE = "pages/talk/0123456789abcdef.html"


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with serving(str(tmp_path / "objects"), tmp_path, monkeypatch) as served:
        yield served


@pytest.fixture
def in_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gcs_client: Any) -> Iterator[Served]:
    del gcs_client
    monkeypatch.setenv("VIDEOMOMENTS_NO_ANSWER_SECONDS", "2")
    resources.google_client.cache_clear()
    resources._store.cache_clear()
    with serving(f"gs://{BUCKET}/films/2026", tmp_path, monkeypatch) as served:
        yield served
    resources.google_client("").close()
    resources.google_client.cache_clear()
    resources._store.cache_clear()


@pytest.fixture(params=["in_folder", "in_bucket"])
def served(request: pytest.FixtureRequest) -> Served:
    found: Served = request.getfixturevalue(request.param)
    return found


def test_a_file_is_sent_whole_and_in_parts(served: Served) -> None:
    served.put(CLIP, CONTENT)
    whole = served.file(CLIP)
    assert (whole.status, whole.body) == (200, CONTENT)
    assert whole.headers["Content-Type"] == "video/mp4"
    assert whole.headers["Accept-Ranges"] == "bytes"

    size = len(CONTENT)
    part = served.file(CLIP, Range=f"bytes=1000-{size - 5}")
    assert (part.status, part.body) == (206, CONTENT[1000:-4])
    assert part.headers["Content-Range"] == f"bytes 1000-{size - 5}/{size}"
    assert part.headers["Content-Length"] == str(size - 1004)
    last = served.file(CLIP, Range="bytes=-7")
    assert (last.status, last.body) == (206, CONTENT[-7:])
    # What Safari begins with: an answer with 200 is a server without ranges to it.
    from_start = served.file(CLIP, Range="bytes=0-")
    assert (from_start.status, from_start.body) == (206, CONTENT)
    behind = served.file(CLIP, Range=f"bytes={size}-")
    assert behind.status == 416
    assert behind.headers["Content-Range"] == f"bytes */{size}"


def test_head_says_what_get_would_send(served: Served) -> None:
    served.put(CLIP, CONTENT)
    told = served.file(CLIP, "HEAD", Range="bytes=0-9")
    assert (told.status, told.body) == (200, b"")
    assert told.headers["Content-Length"] == str(len(CONTENT))


def test_a_part_is_of_the_bytes_that_the_reader_has_the_rest_of(in_folder: Served) -> None:
    in_folder.put(CLIP, CONTENT)
    mark = in_folder.file(CLIP, "HEAD").headers["ETag"]
    assert in_folder.file(CLIP, Range="bytes=0-9", If_Range=mark).status == 206
    assert in_folder.file(CLIP, Range="bytes=0-9", If_Range='"another"').body == CONTENT
    kept = in_folder.file(CLIP, If_None_Match=mark)
    assert (kept.status, kept.body) == (304, b"")
    assert in_folder.file(CLIP, If_None_Match='"another"').status == 200


def test_an_empty_file_is_sent_and_has_no_parts(in_folder: Served) -> None:
    in_folder.put(CLIP, b"")
    assert (in_folder.file(CLIP).status, in_folder.file(CLIP).body) == (200, b"")
    assert in_folder.file(CLIP, Range="bytes=0-").status == 416


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_files_are_only_read(in_folder: Served, method: str) -> None:
    in_folder.put(CLIP, CONTENT)
    refused = in_folder.file(CLIP, method)
    assert refused.status == 405
    assert refused.headers["Allow"] == "GET, HEAD"
    assert in_folder.file(CLIP).body == CONTENT


@pytest.mark.parametrize(
    "path",
    [
        "clips/talk/none.mp4",
        "clips/talk",
        "clips/talk/",
        "clips",
        "",
        "../secret.txt",
        "clips/../../secret.txt",
        "clips/%2e%2e/%2e%2e/secret.txt",
        "clips/..%2f..%2fsecret.txt",
        "clips/..%5c..%5csecret.txt",
        "clips//talk/a.mp4",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "clips/talk/a.mp4%00",
        "clips/talk/%ff.mp4",
        "clips/talk/link.txt",
        "clips/linked/secret.txt",
        # Prompts and answers are in the store too.
        "model_calls/talk/a.json",
        "secret.txt",
    ],
)
def test_nothing_else_is_to_be_had(in_folder: Served, path: str) -> None:
    in_folder.put("clips/talk/a.mp4", CONTENT)
    in_folder.put("model_calls/talk/a.json", b"secret")
    root = in_folder.folder / "objects"
    for place in (root, in_folder.folder):
        (place / "secret.txt").write_text("secret")
    (root / "clips/talk/link.txt").symlink_to(in_folder.folder / "secret.txt")
    (root / "clips/linked").symlink_to(in_folder.folder)
    answer = in_folder.file(path)
    assert (answer.status, answer.body) == (404, b"There is no such file.\n")


def test_a_link_to_a_page_that_was_made_anew_leads_to_the_one_there_is(in_folder: Served) -> None:
    assert in_folder.file(PAGE).status == 404
    in_folder.put("pages/talk/aaaaaaaaaaaaaaaa.html", b"old")
    in_folder.put("pages/talk/bbbbbbbbbbbbbbbb.html", b"new")
    in_folder.put("pages/talk2/cccccccccccccccc.html", b"another video's")
    os.utime(in_folder.folder / "objects/pages/talk/aaaaaaaaaaaaaaaa.html", (1, 1))
    led = in_folder.file(PAGE)
    assert (led.status, led.headers["Location"]) == (307, "bbbbbbbbbbbbbbbb.html")
    assert in_folder.file("pages/nobody/0123456789abcdef.html").status == 404
    assert in_folder.file("pages/../clips/0123456789abcdef.html").status == 404
    assert in_folder.file("clips/talk/0123456789abcdef.html").status == 404


def test_what_is_no_file_is_dagsters(in_folder: Served) -> None:
    for path in ("/", "/assets", "/objects", "/graphql"):
        assert in_folder.asked(path).body == b"Dagster"


@pytest.mark.parametrize(
    ("key", "content_type", "place"),
    [
        ("videos/talk/a.mp4", "video/mp4", "inline"),
        ("videos/talk/a.mkv", "video/x-matroska", "inline"),
        ("videos/talk/a.MP3", "audio/mpeg", "inline"),
        ("thumbnails/talk/a.jpg", "image/jpeg", "inline"),
        ("videos/talk/a.html", "application/octet-stream", "attachment"),
        ("videos/talk/a.svg", "application/octet-stream", "attachment"),
        ("videos/talk/a.xml", "application/octet-stream", "attachment"),
        ("videos/talk/a.js", "application/octet-stream", "attachment"),
        ("videos/talk/a.bin", "application/octet-stream", "attachment"),
        ("videos/talk/a", "application/octet-stream", "attachment"),
        (PAGE, "text/html; charset=utf-8", "inline"),
    ],
)
def test_a_file_is_what_its_key_says_and_nothing_but_a_page_is_a_document(
    in_folder: Served, key: str, content_type: str, place: str
) -> None:
    in_folder.put(key, b"<script>alert(1)</script>")
    headers = in_folder.file(key, "HEAD").headers
    assert headers["Content-Type"] == content_type
    assert headers["Content-Disposition"] == place
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "script-src 'unsafe" not in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example"},
        {"Origin": "https://evil.example"},
        {"Sec_Fetch_Site": "cross-site"},
    ],
    ids=str,
)
def test_files_are_behind_the_guard(in_folder: Served, headers: dict[str, str]) -> None:
    in_folder.put(CLIP, CONTENT)
    answer = in_folder.file(CLIP, **headers)
    assert answer.status in (403, 421)
    assert CONTENT[:100] not in answer.body


def test_files_are_found_below_the_path_that_the_ui_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOMOMENTS_UI_URL", "https://lab.example.org/dagster/")
    with serving(str(tmp_path / "objects"), tmp_path, monkeypatch) as served:
        served.put(CLIP, CONTENT)
        assert served.asked(f"/dagster/objects/{CLIP}").body == CONTENT
        assert served.file(CLIP).body == CONTENT


def test_a_bucket_that_does_not_answer_is_said_soon(in_bucket: Served, gcs: GoogleStorage) -> None:
    gcs.faults.append(Fault(times=10_000, status=503))
    answer = in_bucket.file(CLIP)
    assert answer.status == 503
    assert BUCKET.encode() in answer.body
