from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videomoments_dagster.base.failures import SourceRejected
from videomoments_dagster.sources.locations import (
    GoogleAddress,
    SourceKind,
    kind_of,
    normalise_location,
    parse_google_url,
    redact,
    source_fingerprint,
)


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("/a/b.mp4", SourceKind.LOCAL),
        ("b.mp4", SourceKind.LOCAL),
        ("-rf", SourceKind.LOCAL),
        ("part 1: intro.mp4", SourceKind.LOCAL),
        ("file:///a/b.mp4", SourceKind.LOCAL),
        ("http://example.com/a.mp4", SourceKind.WEB),
        ("HTTPS://example.com/", SourceKind.WEB),
        ("https://notyoutube.com/watch", SourceKind.WEB),
        ("https://cdn.ted.com/talk.mp4", SourceKind.WEB),
        ("gs://bucket/a", SourceKind.GOOGLE),
        ("https://www.youtube.com/watch?v=x", SourceKind.PAGE),
        ("https://youtu.be/x", SourceKind.PAGE),
        ("ytdlp:https://example.com/page", SourceKind.PAGE),
    ],
)
def test_the_text_decides_how_a_source_is_fetched(location: str, kind: SourceKind) -> None:
    assert kind_of(location) is kind


@pytest.mark.parametrize(
    "location",
    [
        "",
        " ",
        "\0",
        "s3://bucket/a",
        "ftp://x/y",
        "http://",
        "http:///a",
        "https://x:99999/",
        "ytdlp:/etc/passwd",
        "ytdlp:file:///etc/passwd",
        "http://[::1",
        "http://a b/c",
    ],
)
def test_what_nothing_fetches_is_refused(location: str) -> None:
    with pytest.raises(SourceRejected):
        kind_of(location)


@pytest.mark.parametrize(
    ("location", "normal"),
    [
        ("talks/a.mp4", "/work dir/talks/a.mp4"),
        ("../a.mp4", "/a.mp4"),
        ("/x/./y/../a.mp4", "/x/a.mp4"),
        ("file:///x/a%20b%23.mp4", "/x/a b#.mp4"),
        ("-a.mp4", "/work dir/-a.mp4"),
        ("HTTP://Example.COM:80/A.mp4?b=2&a=1#t=10", "http://example.com/A.mp4?b=2&a=1"),
        ("https://example.com:8443", "https://example.com:8443/"),
        ("https://user:Pw@Example.com/a", "https://user:Pw@example.com/a"),
        ("http://[::1]:8080/a", "http://[::1]:8080/a"),
        ("GS://bucket/a#1?.mp4", "gs://bucket/a#1?.mp4"),
        ("ytdlp:HTTPS://Example.com/x#y", "ytdlp:https://example.com/x"),
    ],
)
def test_the_same_source_is_the_same_text(location: str, normal: str) -> None:
    assert normalise_location(location, cwd=Path("/work dir")) == normal
    assert normalise_location(normal, cwd=Path("/elsewhere")) == normal


@pytest.mark.parametrize("location", ["file://server/share/a.mp4", "file://[", "file:///a%00"])
def test_a_file_address_of_another_machine_or_of_nonsense_is_refused(location: str) -> None:
    with pytest.raises(SourceRejected, match="this machine"):
        normalise_location(location, cwd=Path("/"))


@settings(deadline=None)
@given(
    st.one_of(st.text(), st.builds("{}://{}".format, st.sampled_from(["file", "http"]), st.text()))
)
def test_any_text_is_normalised_once_or_refused(location: str) -> None:
    try:
        normal = normalise_location(location, cwd=Path("/w"))
    except SourceRejected:
        return
    assert normalise_location(normal, cwd=Path("/elsewhere")) == normal


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://u:p@example.com/a?token=abc&x=", "https://***@example.com/a?token=...&x=..."),
        ("https://example.com/a?abc", "https://example.com/a?..."),
        ("https://example.com/a#frag", "https://example.com/a"),
        ("ytdlp:https://u:p@example.com/a", "ytdlp:https://***@example.com/a"),
        ("ftp://u:p@example.com/a", "ftp://..."),
        ("/local/a?b", "/local/a?b"),
        ("gs://bucket/a?b", "gs://bucket/a?b"),
    ],
)
def test_secrets_in_locations_are_not_shown(location: str, shown: str) -> None:
    assert redact(location) == shown


def test_a_remote_source_is_its_own_fingerprint() -> None:
    for location in ("https://example.com/a", "gs://bucket/a", "ytdlp:https://example.com/"):
        assert source_fingerprint(location) == location


@pytest.mark.parametrize("key", ["talk #1 100%?.mp4", "a/b.mp4"])
def test_a_google_address_is_taken_literally(key: str) -> None:
    assert parse_google_url(f"gs://my-bucket/{key}") == GoogleAddress("my-bucket", key)
