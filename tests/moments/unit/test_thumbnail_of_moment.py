"""Which part of a clip its thumbnail is taken from."""

from __future__ import annotations

import pytest

from videomoments_dagster.moments.assets.thumbnails import moment_within
from videomoments_dagster.moments.records import Clip


def clip(before: float, after: float) -> Clip:
    return Clip(
        moment_identifier="a",
        cloud_url="file:///a.mp4",
        start_time=10.0,
        end_time=90.0,
        padding_left=before,
        padding_right=after,
        file_size_kb=None,
        format=None,
        video_codec=None,
        audio_codec=None,
        resolution=None,
    )


def test_what_is_around_the_moment_is_left_out() -> None:
    assert moment_within(clip(15.0, 30.0), 80.0) == pytest.approx((15.0, 50.0))


@pytest.mark.parametrize("before", [-1.0, 60.0, 50.0])
def test_a_clip_whose_row_does_not_fit_its_file_is_looked_at_as_a_whole(before: float) -> None:
    assert moment_within(clip(before, 30.0), 80.0) == (0.0, 80.0)
