"""Single frames for a model to look at: the right ones, small, and upright."""

from __future__ import annotations

import io
from pathlib import Path

import av
import pytest
from media_samples import MediaSamples

from videomoments_dagster.base.failures import MediaFailed
from videomoments_dagster.media.frame_pictures import FrameSamples
from videomoments_dagster.media.probe import probe


def sizes(pictures: tuple[bytes, ...]) -> list[tuple[int, int]]:
    found = []
    for picture in pictures:
        with av.open(io.BytesIO(picture), format="jpeg_pipe") as container:
            [frame] = container.decode(video=0)
            found.append((frame.width, frame.height))
    return found


def test_the_frames_asked_for_come_as_small_jpegs_in_their_order(
    media_samples: MediaSamples,
) -> None:
    path = media_samples.path("h264_gop2.mp4")
    facts = probe(path)
    samples = FrameSamples(lambda: path, facts=facts)

    pictures = samples.frames([0.0, 1.5, 3.0])
    assert len(set(pictures)) == 3
    assert all(picture.startswith(b"\xff\xd8") for picture in pictures)
    assert samples.frames([3.0, 0.0]) == (pictures[2], pictures[0])
    assert all(max(size) <= 640 for size in sizes(pictures))
    assert all(len(picture) < 200_000 for picture in pictures)


def test_a_turned_video_is_shown_upright(media_samples: MediaSamples) -> None:
    path = media_samples.path("rotated.mp4")
    facts = probe(path)
    assert facts.video is not None
    [(width, height)] = sizes(FrameSamples(lambda: path, facts=facts).frames([0.5]))
    assert facts.video.width < facts.video.height
    assert width < height


def test_nothing_is_opened_where_no_frame_is_wanted(media_samples: MediaSamples) -> None:
    def never() -> Path:
        raise AssertionError("fetched")

    facts = probe(media_samples.path("h264_gop2.mp4"))
    assert FrameSamples(never, facts=facts).frames([]) == ()


def test_a_file_that_cannot_be_opened_is_a_sentence(
    media_samples: MediaSamples, tmp_path: Path
) -> None:
    facts = probe(media_samples.path("h264_gop2.mp4"))
    broken = tmp_path / "gone.mp4"
    broken.write_bytes(b"no video")
    with pytest.raises(MediaFailed, match=r"gone\.mp4"):
        FrameSamples(lambda: broken, facts=facts).frames([1.0])
