"""Where the clock of a recording jumps, by the times of its packets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videomoments_dagster.media.clock_jumps import jump_between

STEPS = st.lists(st.floats(0.01, 2.0), min_size=20, max_size=60)


def packets(steps: list[float], *, begin: float = 0.0) -> list[tuple[int, float]]:
    """Packets of two streams in turn, half a second apart."""
    found, time = [], begin
    for step in steps:
        time += step
        found += [(0, time), (1, time - 0.5)]
    return found


@given(steps=STEPS)
def test_a_clock_that_goes_on_does_not_jump(steps):
    assert jump_between(packets(steps)) is None


@given(before=STEPS, after=STEPS, jump=st.one_of(st.floats(200, 1e5), st.floats(-1e5, -200)))
def test_a_clock_that_jumps_forward_or_back_is_found(before, after, jump):
    first = packets(before)
    newest = first[-2][1]
    found = jump_between([*first, *packets(after, begin=newest + jump)])
    assert found is not None
    assert found[1] - found[0] == pytest.approx(jump, abs=3.1)


@given(steps=STEPS, place=st.integers(0, 30), stray=st.floats(200, 1e5))
def test_one_packet_with_a_time_that_cannot_be_meant_is_no_jump(steps, place, stray):
    sound = packets(steps)
    sound.insert(place, (0, stray))
    assert jump_between(sound) is None


def test_a_stream_that_pauses_while_another_goes_on_is_no_jump():
    sound = [(1, number * 0.02) for number in range(10_000)]
    assert jump_between([(0, 0.0), *sound, (0, 200.0), (1, 200.0)]) is None
