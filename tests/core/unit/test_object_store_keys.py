import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videomoments_dagster.core.objects.keys import check_key, check_prefix
from videomoments_dagster.moments.object_keys import clip_key, page_key, thumbnail_key, video_key

HASH = hashlib.sha256(b"bytes").hexdigest()


def test_keys_hold_the_identifier_and_the_hash_of_their_bytes() -> None:
    assert video_key("talk", HASH, ".MP4") == f"videos/talk/{HASH}.mp4"
    assert clip_key("talk", "0123456789abcdef", HASH) == (
        f"clips/talk/0123456789abcdef-{HASH[:16]}.mp4"
    )
    assert thumbnail_key("talk", None, HASH) == f"thumbnails/talk/video-{HASH[:16]}.jpg"
    assert thumbnail_key("talk", "ab12", HASH) == f"thumbnails/talk/ab12-{HASH[:16]}.jpg"
    assert page_key("talk", HASH) == f"pages/talk/{HASH[:16]}.html"


@pytest.mark.parametrize("extension", ["", ".", "a/b", "..", "m p4", "x" * 11])
def test_an_extension_that_is_no_plain_word_becomes_bin(extension: str) -> None:
    assert video_key("talk", HASH, extension) == f"videos/talk/{HASH}.bin"


@pytest.mark.parametrize("identifier", ["", "..", "a/b", "../etc", "a b", "-x", "x" * 256, "a\n"])
def test_an_identifier_cannot_leave_its_prefix(identifier: str) -> None:
    with pytest.raises(ValueError, match="video identifier"):
        video_key(identifier, HASH, "mp4")
    with pytest.raises(ValueError, match="video identifier"):
        clip_key(identifier, "ab12", HASH)
    with pytest.raises(ValueError, match="identifier"):
        thumbnail_key("talk", identifier, HASH)


def test_a_hash_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        video_key("talk", "abc", "mp4")


@settings(deadline=None)
@given(st.text(max_size=60))
def test_a_key_that_passes_the_check_stays_below_its_root(key: str) -> None:
    try:
        check_key(key)
    except ValueError:
        return
    segments = key.split("/")
    assert not key.startswith("/")
    assert all(segment not in ("", ".", "..") for segment in segments)
    assert "\0" not in key


@pytest.mark.parametrize(
    "key", ["", "/", "/a", "a//b", "a/", "a/../b", "./a", "a\\b", "a\0", "x" * 2000]
)
def test_keys_that_are_no_clean_relative_path_are_refused(key: str) -> None:
    with pytest.raises(ValueError):
        check_key(key)


def test_a_listing_prefix_ends_on_a_whole_segment() -> None:
    assert check_prefix("") == ""
    assert check_prefix("videos/vid1") == "videos/vid1/"
    assert check_prefix("videos/vid1/") == "videos/vid1/"
    with pytest.raises(ValueError):
        check_prefix("videos/../..")
