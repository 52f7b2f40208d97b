import pytest
from hypothesis import given
from hypothesis import strategies as st

from videomoments_dagster.media.clip_plan import clip_window

seconds = st.floats(min_value=0, max_value=20_000, allow_nan=False)


def test_a_clip_has_fifteen_seconds_before_the_moment_and_thirty_after():
    window = clip_window(100.0, 160.0, duration=1000.0)
    assert (window.start_time, window.end_time) == (85.0, 190.0)
    assert (window.padding_left, window.padding_right) == (15.0, 30.0)


def test_padding_is_cut_at_both_ends_of_the_video():
    window = clip_window(4.0, 50.0, duration=60.0)
    assert (window.start_time, window.end_time) == (0.0, 60.0)
    assert (window.padding_left, window.padding_right) == (4.0, 10.0)


@given(start=seconds, length=st.floats(0.001, 600), duration=seconds, left=seconds, right=seconds)
def test_a_clip_lies_inside_the_video_and_contains_its_moment(start, length, duration, left, right):
    end = start + length
    if start >= duration or end <= start:
        with pytest.raises(ValueError):
            clip_window(start, min(start, end), duration=duration)
        return
    window = clip_window(start, end, duration=duration, padding_left=left, padding_right=right)
    assert 0 <= window.start_time <= start < min(end, duration) <= window.end_time <= duration
    assert 0 <= window.padding_left <= left + 1e-9
    assert 0 <= window.padding_right <= right + 1e-9


@pytest.mark.parametrize(
    ("start", "end", "left"),
    [(5.0, 5.0, 1.0), (-1.0, 5.0, 1.0), (5.0, 6.0, -1.0), (99.0, 100.0, 1.0)],
)
def test_a_moment_or_padding_that_is_none_is_refused(start, end, left):
    with pytest.raises(ValueError):
        clip_window(start, end, duration=60.0, padding_left=left)
