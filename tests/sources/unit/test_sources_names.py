import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videomoments_dagster.sources.locations import safe_extension, suggest_identifier, title_of

RULE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")


@pytest.mark.parametrize(
    ("location", "identifier"),
    [
        ("/videos/My Talk (final).mp4", "My-Talk-final"),
        ("talk_2024.mkv", "talk_2024"),
        ("~/a/-rf.mp4", "rf"),
        ("/videos/Café Zürich.mp4", "Cafe-Zurich"),
        ("/videos/archive.tar.gz", "archive-tar"),
        ("/videos/no extension", "no-extension"),
        ("file:///videos/My%20Talk.mp4", "My-Talk"),
        ("https://example.com/a/Great%20Talk.mp4?token=s3cret", "Great-Talk"),
        ("https://example.com", "example-com"),
        ("gs://bucket/a/talk #1.mp4", "talk-1"),
        ("https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=1", "youtube-dQw4w9WgXcQ"),
        ("https://youtu.be/dQw4w9WgXcQ", "youtube-dQw4w9WgXcQ"),
        ("https://vimeo.com/12345", "vimeo-12345"),
        ("ytdlp:https://media.example.org/shows/pilot.html", "example-pilot"),
    ],
)
def test_identifiers_come_from_names(location: str, identifier: str) -> None:
    assert suggest_identifier(location) == identifier


@pytest.mark.parametrize("location", ["/videos/東京.mp4", "/videos/---.mp4", "", "///", "\0"])
def test_a_name_without_letters_gives_a_hash_of_the_location(location: str) -> None:
    assert re.fullmatch(r"video-[0-9a-f]{8}", suggest_identifier(location))


def test_hashes_of_different_locations_differ() -> None:
    assert suggest_identifier("/videos/東京.mp4") != suggest_identifier("/videos/大阪.mp4")


@settings(deadline=None)
@given(
    st.one_of(
        st.text(),
        st.builds("https://{}/{}?v={}".format, st.text(), st.text(), st.text()),
        st.builds("ytdlp:https://youtube.com/{}?v={}".format, st.text(), st.text()),
        st.builds("gs://bucket/{}".format, st.text()),
        st.builds("file://{}".format, st.text()),
        st.builds("{}.mp4".format, st.text(min_size=300, max_size=400)),
    )
)
def test_any_text_gives_a_valid_identifier(location: str) -> None:
    identifier = suggest_identifier(location)
    assert RULE.fullmatch(identifier)
    assert identifier == suggest_identifier(location)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("my_great_talk.mp4", "my great talk"),
        ("東京 talk.mp4", "東京 talk"),
        ("v1.2 release notes", "v1.2 release notes"),
        ("a\nb\t c.mp4", "a b c"),
        (".mp4", ".mp4"),
        ("", None),
        ("___.mp4", None),
        ("x" * 600 + ".mp4", "x" * 500),
    ],
)
def test_titles_are_readable_stems(name: str, title: str | None) -> None:
    assert title_of(name) == title


@pytest.mark.parametrize(
    ("name", "extension"),
    [("a.MP4", ".mp4"), ("a", ""), ("a.b/c", ""), ("a.m p", ""), ("a.tar.gz", ".gz"), ("..", "")],
)
def test_extensions_are_plain_words(name: str, extension: str) -> None:
    assert safe_extension(name) == extension
