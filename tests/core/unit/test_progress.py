"""What is said of long work, and when, by a clock that the tests set."""

from __future__ import annotations

import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videomoments_dagster.base.progress import Progress, is_progress, spoken_left, spoken_time


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Told:
    """A progress with its clock, and with the time of each sentence."""

    def __init__(self, what: str) -> None:
        self.clock = Clock()
        self.sentences: list[str] = []
        self.times: list[float] = []
        self.progress = Progress(self._say, what, clock=self.clock)

    def _say(self, sentence: str) -> None:
        self.sentences.append(sentence)
        self.times.append(self.clock.now - 1000)

    def at(self, seconds: float) -> Progress:
        self.clock.now = 1000 + seconds
        return self.progress


def test_what_takes_less_than_two_seconds_is_passed_over_in_silence() -> None:
    told = Told("of the sound is transcribed")
    for tenth in range(11):
        told.at(0.19 * tenth).share(tenth / 10)
        told.at(0.19 * tenth).look()

    assert told.sentences == []


def test_each_tenth_is_said_once_with_the_time_that_is_left() -> None:
    told = Told("of the sound is transcribed")
    for second in range(1001):
        told.at(second).share(second / 1000)

    assert told.sentences[0] == "3% of the sound is transcribed, about 16 minutes left."
    assert len(told.sentences) <= 45
    assert "40% of the sound is transcribed, about 10 minutes left." in told.sentences
    assert told.sentences[-1] == "100% of the sound is transcribed."


def test_tenths_that_follow_fast_are_not_all_said() -> None:
    told = Told("clips are cut")
    for number in range(21):
        told.at(number * 0.5).count(number, 20)

    assert told.sentences == [
        "4 of 20 clips are cut, a few seconds left.",
        "8 of 20 clips are cut, a few seconds left.",
        "12 of 20 clips are cut, a few seconds left.",
        "16 of 20 clips are cut, a few seconds left.",
        "20 of 20 clips are cut.",
    ]


def test_there_is_no_estimate_before_there_is_evidence() -> None:
    told = Told("clips are cut")
    told.at(0).count(0, 1000)
    told.at(40).count(1, 1000)
    told.at(80).count(30, 1000)

    assert told.sentences == [
        "1 of 1000 clips are cut.",
        "30 of 1000 clips are cut, about 45 minutes left.",
    ]


def test_what_came_before_the_first_report_is_not_in_the_pace() -> None:
    told = Told("of the sound is transcribed")
    told.at(100).share(0.0)
    told.at(110).share(0.5)

    assert told.sentences[-1] == "50% of the sound is transcribed, about 10 seconds left."


def test_silence_is_broken_after_half_a_minute_with_or_without_news() -> None:
    told = Told("clips are cut")
    told.at(29).look()
    told.at(31).look()
    told.at(32).count(1, 10)
    told.at(60).look()
    told.at(62).look()
    told.at(95).look()

    assert told.sentences == [
        "It goes on, after 30 seconds.",
        "1 of 10 clips are cut.",
        "1 of 10 clips are cut; it goes on, after 2 minutes.",
    ]
    assert all(map(is_progress, told.sentences))


def test_ten_hours_are_some_hundreds_of_sentences_and_never_long_silent() -> None:
    told = Told("of the sound is transcribed")
    for second in range(36_000):
        told.at(second).share(second / 36_000)

    assert 100 < len(told.sentences) < 300
    gaps = [b - a for a, b in zip([0, *told.times], told.times, strict=False)]
    assert max(gaps[:50]) <= 31
    assert max(gaps) <= 36_000 / 60 + 1


def test_bytes_are_said_in_units_and_without_an_end_where_none_is_known() -> None:
    told = Told("of the source are read")
    told.at(0).of_bytes(0, 4_000_000_000)
    told.at(60).of_bytes(1_230_000_000, 4_000_000_000)
    told.at(100).of_bytes(5_000_000_000, 4_000_000_000)
    unknown = Told("of the source are read")
    unknown.at(40).of_bytes(999, None)
    unknown.at(80).of_bytes(123_456_789, None)

    assert told.sentences == [
        "1.2 of 4.0 GB of the source are read, about 2 minutes left.",
        "4.0 of 4.0 GB of the source are read.",
    ]
    assert unknown.sentences == [
        "999 bytes of the source are read.",
        "123.5 MB of the source are read.",
    ]


def test_nothing_is_said_after_the_end() -> None:
    said: list[str] = []
    clock = Clock()
    with Progress(said.append, "clips are cut", clock=clock) as progress:
        pass
    clock.now += 3600
    progress.look()

    assert said == []
    assert not any(thread.name == "progress" for thread in threading.enumerate())


def test_a_log_that_is_away_does_not_end_the_work() -> None:
    def away(_: str) -> None:
        raise OSError("the log is away")

    clock = Clock()
    with Progress(away, "clips are cut", clock=clock) as progress:
        clock.now += 40
        assert progress._life is not None
        progress._life.join(timeout=10)
        assert not progress._life.is_alive()


reports = st.lists(
    st.tuples(st.floats(0, 100), st.floats(-1, 2) | st.just(float("nan"))), max_size=60
)


@given(reports)
def test_whatever_is_reported_the_share_never_falls_and_each_sentence_is_whole(
    steps: list[tuple[float, float]],
) -> None:
    told = Told("of the sound is transcribed")
    now = 0.0
    for seconds, share in steps:
        now += seconds
        told.at(now).share(share)
        told.at(now).look()

    percentages = [int(found[1]) for one in told.sentences if (found := re.match(r"(\d+)%", one))]
    assert percentages == sorted(percentages)
    assert all(0 <= one <= 100 for one in percentages)
    assert all(b - a >= 2 for a, b in zip([0.0, *told.times], told.times, strict=False))
    for sentence in told.sentences:
        assert sentence.endswith(".")
        assert is_progress(sentence)


def test_other_sentences_are_no_progress() -> None:
    for sentence in (
        "Reading /a.mp4.",
        "Cut 1 of 1 clips.",
        "3 moments are kept.",
        "3 of 7 cues start after the end and were left out.",
    ):
        assert not is_progress(sentence)
    for sentence in ("3 of 12 clips are cut.", "1.2 MB of the source are read."):
        assert is_progress(sentence)


@pytest.mark.parametrize(
    ("seconds", "spoken"),
    [
        (0.2, "1 second"),
        (7.4, "7 seconds"),
        (44, "40 seconds"),
        (54.9, "50 seconds"),
        (58, "1 minute"),
        (170, "3 minutes"),
        (3599, "1 hour"),
        (4900, "1 hour 20 minutes"),
        (7150, "2 hours"),
    ],
)
def test_time_is_said_as_people_do(seconds: float, spoken: str) -> None:
    assert spoken_time(seconds) == spoken
    assert spoken_left(seconds) == ("a few seconds" if seconds < 10 else f"about {spoken}")


def test_what_goes_on_within_one_thing_is_said_when_nothing_else_was_for_long() -> None:
    told = Told("windows are read by the model")
    told.at(0).count(0, 12)
    for second in range(1, 91):
        told.at(second).beside(f"{second * 10} tokens so far")
        told.at(second).look()
    assert told.times == [30, 60, 90]
    assert told.sentences[0] == "0 of 12 windows are read by the model (300 tokens so far)."
    assert all(is_progress(sentence) for sentence in told.sentences)
    told.at(100).count(6, 12)
    assert told.sentences[-1].startswith("6 of 12 windows are read by the model (900 tokens so far")
