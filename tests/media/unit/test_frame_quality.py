"""Which of several pictures is the best still."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videomoments_dagster.media.stills import (
    PRESENTABLE_EXPOSURE,
    Luma,
    best_frame,
    exposure,
    quality,
    sharpness,
)

HEIGHT, WIDTH = 60, 100

# A shared machine makes single examples slow, which says nothing about the code.
patiently = settings(deadline=None, max_examples=50)

seeds = st.integers(min_value=0, max_value=2**32 - 1)


def flat(level: int) -> Luma:
    return np.full((HEIGHT, WIDTH), level, dtype=np.uint8)


def scene(seed: int) -> Luma:
    """A few hard-edged rectangles of different brightness."""
    random = np.random.default_rng(seed)
    picture = flat(110)
    for _ in range(12):
        top, left = random.integers(0, HEIGHT - 20), random.integers(0, WIDTH - 30)
        picture[top : top + 20, left : left + 30] = random.integers(30, 236)
    return picture


def blurred(luma: Luma, radius: int = 3) -> Luma:
    size = 2 * radius + 1
    padded = np.pad(luma.astype(np.float64), radius, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
    return np.asarray(windows.mean(axis=(2, 3)).round(), dtype=np.uint8)


def dimmed(luma: Luma, share: float) -> Luma:
    return np.asarray((luma * share).round(), dtype=np.uint8)


def noise(seed: int, level: int, spread: float) -> Luma:
    random = np.random.default_rng(seed)
    return np.clip(random.normal(level, spread, (HEIGHT, WIDTH)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("level", [0, 16, 128, 235, 255])
def test_a_blank_picture_is_worth_nothing(level: int) -> None:
    assert sharpness(flat(level)) == 0
    assert quality(flat(level)) == 0
    assert exposure(flat(level)) < PRESENTABLE_EXPOSURE


def test_black_with_the_noise_of_a_camera_is_not_presentable() -> None:
    assert exposure(noise(1, level=16, spread=4)) < PRESENTABLE_EXPOSURE


def test_a_white_slide_with_text_is_presentable() -> None:
    slide = flat(250)
    slide[10:50:6, 10:90:3] = 10
    assert exposure(slide) > PRESENTABLE_EXPOSURE


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (2, 100), (3, 3)])
def test_tiny_pictures_are_measured_without_a_complaint(shape: tuple[int, int]) -> None:
    assert quality(np.zeros(shape, dtype=np.uint8)) == 0


def test_choosing_from_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no frames"):
        best_frame([])


def test_of_equal_frames_the_earliest_is_chosen() -> None:
    assert best_frame([flat(0), scene(3), scene(3)]) == 1


@patiently
@given(seed=seeds, radius=st.integers(min_value=1, max_value=4))
def test_blurring_always_lowers_sharpness_and_quality(seed: int, radius: int) -> None:
    sharp = scene(seed)
    assert sharpness(blurred(sharp, radius)) < sharpness(sharp)
    assert quality(blurred(sharp, radius)) < quality(sharp)


@patiently
@given(seed=seeds, share=st.floats(min_value=0.0, max_value=0.7))
def test_a_frame_of_a_fade_loses_to_the_full_picture(seed: int, share: float) -> None:
    full = scene(seed)
    assert best_frame([dimmed(full, share), full, dimmed(full, share)]) == 1


@patiently
@given(seed=seeds, place=st.integers(min_value=0, max_value=6))
def test_the_good_frame_is_found_wherever_it_lies(seed: int, place: int) -> None:
    good = scene(seed)
    others = [
        flat(0),
        flat(255),
        flat(120),
        noise(seed, level=10, spread=5),
        blurred(good),
        dimmed(good, 0.2),
    ]
    assert best_frame([*others[:place], good, *others[place:]]) == place


@patiently
@given(seed=seeds)
def test_measures_stay_in_their_ranges(seed: int) -> None:
    random = np.random.default_rng(seed)
    picture = random.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    assert 0 <= exposure(picture) <= 1
    assert 0 <= quality(picture) < np.inf
