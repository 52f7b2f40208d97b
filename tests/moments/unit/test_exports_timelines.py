"""EDL and OTIO, read back by OpenTimelineIO and its CMX 3600 adapter."""

from __future__ import annotations

import re
from typing import Any

import pytest
from exported import NO_OPENTIMELINEIO, material, moment_document, stored_video
from hypothesis import given, settings
from hypothesis import strategies as st

from videomoments_dagster.base.failures import ExportRefused, ResultMissing
from videomoments_dagster.moments.exports.edit_decisions import countable, edl, otio, reel
from videomoments_dagster.moments.exports.material import material_of
from videomoments_dagster.moments.exports.timecode import FrameRate, frame_rate_of, frames_at

otio_library: Any = pytest.importorskip("opentimelineio", reason=NO_OPENTIMELINEIO)

NASTY = "One\n002  AX V C 00:00:00:00\r\u2028<b>\x1b[31m \u202eturned"
REFINED = {"start_time": 10.4, "end_time": 19.6, "score": 8}
CLIP = {"start_time": 5.0, "end_time": 50.0}


def read_edl(text: str, rate: float) -> Any:
    return otio_library.adapters.read_from_string(text, "cmx_3600", rate=rate)


def read_otio(text: str) -> Any:
    return otio_library.adapters.read_from_string(text, "otio_json")


def tracks_of(text: str) -> list[Any]:
    # A timeline takes its tracks with it when it goes.
    timeline = read_otio(text)
    return [track.deepcopy() for track in timeline.tracks]


def test_an_edl_says_what_an_editor_needs() -> None:
    text = edl(
        material(
            moment_document(1, 1.0, 52.4, refined=None, score=9),
            moment_document(2, 61, 70, refined=None, score=None),
        )
    )

    assert text == (
        "TITLE: A talk\n"
        "FCM: NON-DROP FRAME\n"
        "\n"
        "001  TALK     AA/V  C        00:00:01:00 00:00:52:10 01:00:00:00 01:00:51:10\n"
        "* FROM CLIP NAME: a b.mp4\n"
        "* COMMENT: Moment 1\n"
        "* LOC: 01:00:00:00 GREEN   Moment 1 (9/10)\n"
        "\n"
        "002  TALK     AA/V  C        00:01:01:00 00:01:10:00 01:00:51:10 01:01:00:10\n"
        "* FROM CLIP NAME: a b.mp4\n"
        "* COMMENT: Moment 2\n"
        "* LOC: 01:00:51:10 GREEN   Moment 2\n"
    )


@settings(max_examples=30)
@given(
    st.sampled_from([23.976, 24.0, 25.0, 29.97, 30.0, 50.0, 59.94, 60.0]),
    st.lists(st.tuples(st.floats(0, 80_000), st.floats(0.001, 900)), min_size=1, max_size=8),
)
def test_an_edl_comes_back_frame_for_frame(rate: float, spans: list[tuple[float, float]]) -> None:
    moments = [moment_document(n, a, a + b) for n, (a, b) in enumerate(spans)]
    exported = material(*moments, frame_rate=rate)
    exact = frame_rate_of(rate)

    timeline = read_edl(edl(exported), float(exact.exact))

    [picture] = timeline.video_tracks()
    clips = [one for one in picture if isinstance(one, otio_library.schema.Clip)]
    assert len(clips) == len(spans)
    for clip, moment in zip(clips, exported.moments, strict=True):
        start = frames_at(moment.start, exact)
        assert clip.source_range.start_time.value == start
        assert clip.source_range.duration.value == max(frames_at(moment.end, exact) - start, 1)
        assert clip.name == "a b.mp4"
    assert len(timeline.audio_tracks()) == 2


def test_refined_boundaries_are_taken_unless_others_are_asked_for() -> None:
    stored = stored_video(
        moment_document(1, 10, 20, refined=REFINED, clip=CLIP), moment_document(2, 30, 40)
    )

    def events(boundaries: Any) -> list[str]:
        text = edl(material_of(stored, boundaries=boundaries))
        return re.findall(r"C {8}(\S+ \S+)", text)

    assert events("refined") == ["00:00:10:10 00:00:19:15", "00:00:30:00 00:00:40:00"]
    assert events("moments") == ["00:00:10:00 00:00:20:00", "00:00:30:00 00:00:40:00"]
    assert events("clips") == ["00:00:05:00 00:00:50:00", "00:00:30:00 00:00:40:00"]
    assert "(8/10)" in edl(material_of(stored))
    assert "(5/10)" in edl(material_of(stored, boundaries="moments"))


def test_drop_frame_is_said_and_written() -> None:
    text = edl(material(moment_document(1, 60.0, 61.0), frame_rate=29.97))

    assert "FCM: DROP FRAME" in text
    assert "00:00:59;28 00:01:01;00 01:00:00;00 01:00:01;00" in text


def test_a_title_cannot_make_a_line_of_its_own() -> None:
    stored = stored_video(moment_document(1, 1, 2, title=NASTY), title=NASTY)
    text = edl(material_of(stored, media=f"/footage/{NASTY}.mov"))

    assert len(text.splitlines()) == 7
    assert len(re.findall(r"^\d{3}  ", text, flags=re.MULTILINE)) == 1
    assert not any(character in text for character in "\x1b\u202e")


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [("talk", "TALK"), ("Talk2026", "TALK2026"), ("0", "0")],
)
def test_a_short_plain_identifier_is_its_own_reel(identifier: str, expected: str) -> None:
    assert reel(identifier) == expected


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}", fullmatch=True))
def test_a_reel_has_at_most_eight_capitals_and_digits(identifier: str) -> None:
    assert re.fullmatch(r"[A-Z0-9]{1,8}", reel(identifier))
    assert reel(identifier) not in {"AX", "BL"}


def test_videos_that_begin_alike_have_different_reels() -> None:
    names = ["lecture_01", "lecture_02", "lecture01", "lecture-01", "ax", "bl"]

    assert len({reel(name) for name in names}) == len(names)


def test_a_picture_without_sound_and_sound_without_picture_are_told() -> None:
    moment = moment_document(1, 1, 2)

    assert " V     C " in edl(material(moment, audio_codec=None))
    assert " AA    C " in edl(material(moment, video_codec=None, frame_rate=None))
    kinds = [track.kind for track in tracks_of(otio(material(moment, video_codec=None)))]
    assert kinds == ["Audio"]


def test_what_an_edl_cannot_hold_is_refused_in_a_sentence() -> None:
    many = [moment_document(n, n, n + 1) for n in range(1000)]
    with pytest.raises(ExportRefused, match=r"999 events.*1000 moments.*otio"):
        edl(material(*many))
    with pytest.raises(ExportRefused, match=r"24 hours.*otio"):
        edl(material(moment_document(1, 90_000, 90_001)))
    assert len(tracks_of(otio(material(moment_document(1, 90_000, 90_001))))) == 2


def test_high_rates_are_counted_at_half() -> None:
    assert countable(FrameRate(120, is_ntsc=True)) == FrameRate(60, is_ntsc=True)
    assert countable(FrameRate(100)) == FrameRate(50)
    assert countable(FrameRate(60)) == FrameRate(60)


def test_moments_never_made_are_missing_and_none_found_are_an_empty_list() -> None:
    for write in (edl, otio):
        with pytest.raises(ResultMissing, match=r"no moments of 'talk' yet.*videomoments run talk"):
            write(material(moments_made=None))
    assert edl(material()) == "TITLE: A talk\nFCM: NON-DROP FRAME\n"
    assert [len(track) for track in tracks_of(otio(material()))] == [0, 0]


def test_opentimelineio_opens_the_timeline_with_media_clips_and_markers() -> None:
    stored = stored_video(
        moment_document(1, 10, 20, refined=REFINED),
        moment_document(2, 30, 40, score=2, title=NASTY),
        moment_document(3, 50, 60, score=None),
        title=None,
    )
    text = otio(material_of(stored))

    timeline = read_otio(text)

    assert timeline.name == "talk"
    assert timeline.global_start_time == otio_library.opentime.RationalTime(90_000, 25)
    assert [track.kind for track in timeline.tracks] == ["Video", "Audio"]
    first, second, third = timeline.tracks[0]
    assert first.source_range.start_time.to_seconds() == pytest.approx(10.4)
    assert first.source_range.duration.to_seconds() == pytest.approx(9.2)
    assert first.media_reference.target_url == "file:///objects/videos/talk/a%20b.mp4"
    assert first.media_reference.name == "a b.mp4"
    assert first.available_range().duration.to_seconds() == 3600
    assert [(one.name, one.color) for one in first.markers] == [("score 8", "GREEN")]
    assert [(one.name, one.color) for one in second.markers] == [("score 2", "RED")]
    assert [(one.name, one.color) for one in third.markers] == [("not scored", "WHITE")]
    assert second.name == "One 002 AX V C 00:00:00:00 <b> [31m turned"
    assert first.metadata["videomoments"]["moment"] == f"{1:016x}"
    assert not any(clip.markers for clip in timeline.tracks[1])
    # Of the current schemas, so that nothing has to be brought up to date.
    assert '"Clip.2"' in text
    assert timeline.range_of_child(third).start_time.value == (9.2 + 10) * 25


def test_opentimelineio_writes_the_same_again() -> None:
    moments = [moment_document(1, 10, 20, refined=REFINED), moment_document(2, 3, 4)]
    timeline = read_otio(otio(material(*moments, frame_rate=29.97)))

    again = read_otio(otio_library.adapters.write_to_string(timeline, "otio_json"))

    assert again.is_equivalent_to(timeline)


@pytest.mark.parametrize(
    ("media", "url", "name"),
    [
        ("/footage/a b.mov", "file:///footage/a%20b.mov", "a b.mov"),
        ("gs://bucket/x/talk.mp4", "gs://bucket/x/talk.mp4", "talk.mp4"),
        (r"D:\footage\talk.mp4", r"D:\footage\talk.mp4", "talk.mp4"),
    ],
)
def test_the_media_is_the_file_that_the_editor_has(media: str, url: str, name: str) -> None:
    stored = stored_video(moment_document(1, 10, 20))
    [[clip], _] = tracks_of(otio(material_of(stored, media=media, frame_rate=30)))

    assert clip.media_reference.target_url == url
    assert clip.media_reference.name == name
    assert clip.source_range.duration.rate == 30
