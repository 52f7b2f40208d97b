"""What a run looks like in a terminal, and in a pipe."""

from __future__ import annotations

import pytest

from videomoments_dagster.cli.running import RunReporter

TOLD = (
    "Transcribing with captions.",
    "10% of the sound is transcribed, about 3 minutes left.",
    "20% of the sound is transcribed, about 2 minutes left.",
    "Found 3 moments.",
)


def shown(reporter: RunReporter) -> None:
    reporter.step_started("transcript")
    for sentence in TOLD:
        reporter.step_said("transcript", sentence)
    reporter.step_finished("transcript", seconds=3.21, unchanged=False)


def test_in_a_pipe_every_sentence_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    shown(RunReporter())

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "transcript ...",
        *(f"    {sentence}" for sentence in TOLD),
        "transcript done in 3.2 s",
    ]


def test_in_a_terminal_progress_takes_the_place_of_progress(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "50")

    shown(RunReporter(in_place=True))

    assert capsys.readouterr().err.split("\n") == [
        "transcript ...",
        "    Transcribing with captions.",
        "    10% of the sound is transcribed, about 3 minu",
        "\x1b[1A\x1b[2K    20% of the sound is transcribed, about 2 minu",
        "    Found 3 moments.",
        "transcript done in 3.2 s",
        "",
    ]


def test_what_steers_a_terminal_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    RunReporter(in_place=True).step_said("video", "10% of \x1b[2J\nit")

    assert capsys.readouterr().err == "    10% of ?[2J it\n"
