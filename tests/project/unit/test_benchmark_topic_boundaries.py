"""The quality benchmark: its readers, measures, rivals and tables, on made-up texts."""

from __future__ import annotations

import importlib
import json
import random
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from topic_boundaries import (
    comparison,
    measures,
    moment_shares,
    readers,
    recordings,
    report,
    segmenters,
)
from topic_boundaries.comparison import OURS, Comparison, Quality, Results
from topic_boundaries.readers import DividedText, Span

from videomoments_dagster.speech.transcripts import Segment

moments = importlib.import_module("moments")


def write(path: Path, text: str, *, encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)


def write_tinyrec(folder: Path, *, name: str = "a", fine: object = None) -> None:
    entries = [{"start": 10.0 * at, "end": 10.0 * at + 8, "text": f"unit\n{at}"} for at in range(6)]
    write(folder / "tinyrec_x" / f"{name}.json", json.dumps({name: {"entries": entries}}))
    topics = {"coarse": [[0, 1, "x"], [2, 5, "y"]], "fine": fine or [[0, 1, ""], [1, 5, ""]]}
    write(folder / "tinyrec_x" / f"{name}_anno.json", json.dumps({name: topics}))


def write_qmsum(folder: Path, *, spans: list[list[list[str]]], turns: int = 8) -> None:
    meeting = {
        "topic_list": [{"topic": "t", "relevant_text_span": own} for own in spans],
        "meeting_transcripts": [
            {"speaker": "A", "content": f"Turn {{vocalsound}} {at} {{pause}}"}
            for at in range(turns)
        ],
    }
    write(folder / "qmsum" / "m.json", json.dumps(meeting))


def only_text(folder: Path, name: str) -> DividedText:
    (text,) = next(found for found in readers.read_sets(folder) if found.name == name).texts
    return text


# Readers


def test_tinyrec_has_times_and_topics_at_two_levels(tmp_path: Path) -> None:
    write_tinyrec(tmp_path)
    text = only_text(tmp_path, "tinyrec")
    assert text.units[:2] == ("unit 0", "unit 1")
    assert text.topic_starts == {"coarse": (2,), "fine": (1,)}
    assert text.spans[1] == Span(start=10.0, end=18.0)


def test_qmsum_boundaries_are_starts_of_spans_also_where_there_are_gaps(tmp_path: Path) -> None:
    write_qmsum(tmp_path, spans=[[["1", "2"], ["6", "7"]], [["4", "5"]]])
    text = only_text(tmp_path, "qmsum")
    assert text.topic_starts == {"": (1, 4, 6)}
    assert text.units[3] == "Turn 3"


def test_topics_outside_a_meeting_are_ignored_and_said(tmp_path: Path) -> None:
    write_qmsum(tmp_path, spans=[[["0", "2"]], [["3", "9"]], [["8", "9"]]])
    (found,) = (each for each in readers.read_sets(tmp_path) if each.name == "qmsum")
    assert found.texts[0].topic_starts == {"": (3,)}
    assert "[8]" in found.remarks[0]
    assert not found.unreadable


def test_choi_is_latin_1_with_separators_at_both_ends(tmp_path: Path) -> None:
    lines = ["==========", "Caf\xe9 .", "b", "==========", "c", "", "d", "=========="]
    write(tmp_path / "choi" / "3-5" / "1.ref", "\n".join(lines), encoding="latin-1")
    text = only_text(tmp_path, "choi")
    assert text.units == ("Caf\xe9 .", "b", "c", "d")
    assert text.topic_starts == {"": (2,)}


def test_a_missing_set_is_said_and_left_out(tmp_path: Path) -> None:
    write_tinyrec(tmp_path)
    _, qmsum, choi, spoken = readers.read_sets(tmp_path)
    assert not qmsum.texts
    assert "qmsum" in qmsum.remarks[0]
    assert "choi" in choi.remarks[0]
    assert "spoken" in spoken.remarks[0]
    assert not qmsum.unreadable + choi.unreadable + spoken.unreadable


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("qmsum/bad.json", "{"),
        ("qmsum/bad.json", "[]"),
        ("qmsum/bad.json", '{"meeting_transcripts": 3}'),
        ("qmsum/bad.json", '{"meeting_transcripts": [{"content": null}]}'),
        ("qmsum/bad.json", "[" * 100_000),
        ("tinyrec/bad.json", "{}"),
        ("choi/bad.ref", "no separator"),
    ],
)
def test_an_unreadable_file_is_named_and_the_others_are_read(
    tmp_path: Path, path: str, content: str
) -> None:
    write_tinyrec(tmp_path)
    write(tmp_path / path, content)
    found = readers.read_sets(tmp_path)
    (problem,) = [problem for each in found for problem in each.unreadable]
    assert path in problem
    assert len(found[0].texts) == 1


def test_texts_too_short_to_divide_are_left_out(tmp_path: Path) -> None:
    write_qmsum(tmp_path, spans=[[["0", "1"]]], turns=2)
    qmsum = readers.read_sets(tmp_path)[1]
    assert not qmsum.texts
    assert "fewer than 3" in qmsum.remarks[0]


# Measures


def test_pk_and_windowdiff_are_those_counted_by_hand() -> None:
    # Eight units, a topic at 4, k = 2; six pairs two apart, of which 2-4 and 3-5 are divided.
    assert measures.window((4,), count=8) == 2
    assert measures.pk_and_windowdiff((4,), (), count=8) == (2 / 6, 2 / 6)
    assert measures.pk_and_windowdiff((4,), (4,), count=8) == (0.0, 0.0)
    # One more at 5: Pk sees a wrong 4-6; WindowDiff also that 3-5 is divided twice.
    assert measures.pk_and_windowdiff((4,), (4, 5), count=8) == (1 / 6, 2 / 6)


def test_the_window_is_half_the_mean_segment_and_at_least_two() -> None:
    assert measures.window((30, 50), count=90) == 15
    assert measures.window(range(1, 90), count=90) == 2
    assert measures.window((1,), count=3) == 2


@given(count=st.integers(3, 40), data=st.data())
def test_measures_of_any_division_are_shares_and_of_the_same_one_nothing(
    count: int, data: st.DataObject
) -> None:
    divisions = st.sets(st.integers(1, count - 1)).map(sorted)
    reference, found = data.draw(divisions), data.draw(divisions)
    pk, windowdiff = measures.pk_and_windowdiff(reference, found, count=count)
    assert 0 <= pk <= windowdiff <= 1
    assert measures.pk_and_windowdiff(reference, reference, count=count) == (0, 0)


@pytest.mark.parametrize(
    ("reference", "found", "f1"),
    [
        ([], [], 1.0),
        ([50.0], [], 0.0),
        ([50.0], [60.0], 1.0),
        ([50.0], [60.1], 0.0),
        ([50.0], [45.0, 50.0, 55.0], 0.5),
        ([50.0, 60.0], [55.0], 2 / 3),
        ([50.0, 60.0], [59.0, 69.0], 1.0),
    ],
)
def test_a_boundary_is_found_once_and_within_ten_seconds(
    reference: list[float], found: list[float], f1: float
) -> None:
    assert measures.boundary_f1(reference, found) == pytest.approx(f1)


def test_the_bootstrap_is_the_same_every_time_and_holds_the_mean() -> None:
    low, high = measures.bootstrap_interval([-0.2, -0.1, 0.0, 0.1])
    assert (low, high) == measures.bootstrap_interval([-0.2, -0.1, 0.0, 0.1])
    assert -0.2 <= low < -0.05 < high <= 0.1
    assert measures.bootstrap_interval([0.3]) == pytest.approx((0.3, 0.3))


# Rivals


def test_evenly_spaced_and_random_divisions_have_the_number_they_are_told() -> None:
    assert segmenters.evenly_spaced(12, segments=4) == (3, 6, 9)
    assert segmenters.evenly_spaced(3, segments=9) == (1, 2)
    draws = segmenters.at_random(12, segments=4, name="a")
    assert draws == segmenters.at_random(12, segments=4, name="a")
    assert {len(draw) for draw in draws} == {3}
    assert len(set(draws)) > 1
    assert segmenters.at_random(3, segments=9, name="a")[0] == (1, 2)


def topical_units(*, topics: int, each: int) -> list[str]:
    source = random.Random(1)  # noqa: S311
    return [
        " ".join(
            "".join(chr(97 + (topic * 7 + source.randrange(5) + at) % 26) for at in range(6))
            for _ in range(25)
        )
        for topic in range(topics)
        for _ in range(each)
    ]


def test_text_tiling_divides_only_where_a_unit_starts() -> None:
    units = topical_units(topics=3, each=10)
    found = segmenters.text_tiling(units)
    assert found
    assert all(0 < start < 30 for start in found)
    # Empty units and short ones in between take no place away from the others.
    spaced = [part for unit in units for part in (unit, "")]
    assert segmenters.text_tiling(spaced)


def test_where_text_tiling_raises_there_is_no_division() -> None:
    assert segmenters.text_tiling(["short", "text"]) is None


# Comparison and report


def quality(value: float) -> Quality:
    return Quality(pk=value, windowdiff=value, f1=1 - value, segments=2.0)


def compared(name: str, *, ours: float, rival: float) -> Comparison:
    return Comparison(
        name=name,
        documents=("a", "b"),
        reference_segments=3.0,
        qualities={
            OURS: (quality(ours), quality(ours)),
            "worst": (quality(0.9), quality(0.9)),
            "best rival": (quality(rival), quality(rival)),
        },
    )


def test_ours_leads_only_where_it_is_better_than_every_rival() -> None:
    assert compared("x", ours=0.2, rival=0.3).leads()
    assert not compared("x", ours=0.3, rival=0.3).leads()
    assert not compared("x", ours=0.4, rival=0.3).leads()
    pk, _ = compared("x", ours=0.2, rival=0.3).differences()
    assert pk.rival == "best rival"
    assert pk.mean == pytest.approx(-0.1)


def test_the_table_marks_the_best_value_and_the_footer_says_where_ours_leads() -> None:
    results = Results(
        comparisons=(
            compared("first", ours=0.2, rival=0.3),
            compared("second", ours=0.4, rival=0.3),
        ),
        our_seconds=0.1,
        text_tiling_failed=2,
    )
    console = Console(width=120, record=True, file=sys.stderr)
    console.print(report.boundaries_table(results.comparisons))
    shown = console.export_text()
    assert shown.count("0.200 *") == 2
    assert shown.count("0.300 *") == 2
    assert "0.400 *" not in shown
    # Of F1, the highest is best.
    assert "0.800 *" in shown
    assert shown.count("0.700 *") == 1
    said = "\n".join(report.footer(results))
    assert "leads on Pk and WindowDiff on: first. It does not on: second." in said
    assert "raised on 2 texts" in said
    assert "Pk -0.100" in said


def test_every_method_is_measured_at_every_level(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segmenters, "topic_starts", lambda texts, **_: (0, 2))
    write_tinyrec(tmp_path)
    results = comparison.compare(readers.read_sets(tmp_path), processes=1)
    coarse, fine = results.comparisons
    assert (coarse.name, fine.name) == ("tinyrec coarse", "tinyrec fine")
    assert coarse.mean(OURS) == Quality(pk=0.0, windowdiff=0.0, f1=1.0, segments=2.0)
    assert fine.mean(OURS).pk > 0
    assert set(coarse.qualities) == {
        OURS,
        comparison.NOTHING,
        comparison.TEXT_TILING,
        comparison.EVENLY,
        comparison.RANDOM,
    }
    assert results.text_tiling_failed == 1


def a_recording(**facts: object) -> recordings.Recording:
    spoken = [
        (
            Segment(
                f"Sentence number {at} is about topic{at // 6} only.", 10.0 * at, 10.0 * at + 9
            ),
            (),
        )
        for at in range(24)
    ]
    made = recordings.recording_of("a", spoken, seconds=240.0, chapters=(0.0, 60.0, 120.0, 180.0))
    return replace(made, **facts)


def test_moments_are_counted_near_and_across_chapters_and_on_housekeeping() -> None:
    recording = a_recording(housekeeping=((100.0, 110.0),))
    spans = [(55.0, 80.0), (75.0, 104.0), (100.0, 140.0), (170.0, 189.0), (96.0, 102.9)]
    assert moment_shares.count_moments(spans, of=recording) == (5.0, 2.0, 1.0, 2.0)


def test_what_nobody_marked_is_not_known_and_not_zero() -> None:
    counts = moment_shares.count_moments([(0.0, 30.0)], of=a_recording(chapters=()))
    assert np.isnan(counts[1:]).all()
    shares = moment_shares.MomentShares("x", OURS, {"a": counts}).shares()
    assert set(shares.values()) == {None}


@given(
    starts=st.lists(st.floats(0, 200), min_size=1, max_size=6),
    length=st.floats(1, 40),
    chapters=st.lists(st.floats(0, 240), min_size=1, max_size=5),
)
def test_expected_counts_are_shares_of_as_many_moments(
    starts: list[float], length: float, chapters: list[float]
) -> None:
    recording = a_recording(chapters=tuple(sorted(chapters)), housekeeping=())
    spans = [(start, start + length) for start in starts]
    for counts in (
        moment_shares.count_moments(spans, of=recording),
        moment_shares.expected_counts(spans, of=recording),
        moment_shares.count_moments(moment_shares.evenly_spaced(spans, of=recording), of=recording),
    ):
        assert counts[0] == len(spans)
        assert all(-1e-9 <= count <= len(spans) + 1e-9 for count in counts)
        assert counts[3] == 0


def test_an_interval_holds_its_share_and_is_the_same_every_time() -> None:
    counts = {f"{at}": (10.0, float(at % 5), float(at % 3), 1.0) for at in range(12)}
    measured = moment_shares.MomentShares("x", OURS, counts)
    near = measured.shares()["start near a chapter"]
    assert near is not None
    assert near.low <= near.value <= near.high
    assert measured.shares() == measured.shares()


def test_what_is_worse_than_a_rival_is_named() -> None:
    def share(method: str, *counts: float) -> moment_shares.MomentShares:
        return moment_shares.MomentShares("x", method, {"a": (10.0, *counts)})

    ours = share(OURS, 3.0, 2.0, 1.0)
    before = share(moment_shares.BEFORE, 4.0, 3.0, 1.0)
    anywhere = share(moment_shares.CHANCE, 1.0, 1.0, float("nan"))
    measured = [ours, before, anywhere]
    assert moment_shares.missed(measured, rival=moment_shares.BEFORE) == [
        "x: start near a chapter, -10.0% against ours, 28 November 2026"
    ]
    assert moment_shares.missed(measured, rival=moment_shares.CHANCE) == [
        "x: across a chapter, +10.0% against anywhere"
    ]
    same = share(moment_shares.BEFORE, 3.0, 2.0, 1.0)
    assert moment_shares.missed([ours, same], rival=moment_shares.BEFORE) == []


def test_every_set_has_a_row_a_method_and_an_empty_set_has_none() -> None:
    sets = {"some": [a_recording()], "none": []}
    measured = moment_shares.measure_moments(sets, before={"a": (3.0, 1.0, 1.0, 0.0)})
    assert [(one.set_name, one.method) for one in measured] == [
        ("some", method)
        for method in (OURS, moment_shares.BEFORE, moment_shares.EVENLY, moment_shares.CHANCE)
    ]
    console = Console(width=140, record=True, file=sys.stderr)
    console.print(report.moments_table(measured))
    shown = console.export_text()
    assert "some (1)" in shown
    assert "[" in shown


def test_a_recording_with_word_times_is_divided_at_its_authors_chapters(tmp_path: Path) -> None:
    words = [[f"Word{at}." if at % 4 == 3 else f"word{at}", at, at + 0.5] for at in range(40)]
    chapters = [[0, "one"], [13.2, "two"], [36, "three"]]
    write(
        tmp_path / "spoken" / "r.json",
        json.dumps({"source": "made up", "words": words, "chapters": chapters}),
    )
    text = only_text(tmp_path, "spoken")
    assert len(text.units) == 10
    assert text.topic_starts == {"": (3, 9)}
    (recording,) = recordings.read_lectures(tmp_path / "spoken")
    assert recording.chapters == (0.0, 13.2, 36.0)
    assert recording.housekeeping == ()


def test_every_second_recording_only_measures() -> None:
    named = [a_recording(name=name) for name in "cab"]
    split = moment_shares.halves("x", named)
    assert [one.name for one in split["x, developed on"]] == ["a", "c"]
    assert [one.name for one in split["x, only measured"]] == ["b"]


# The command


def test_without_transcripts_the_command_says_how_to_name_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert moments.main(["--transcripts", str(tmp_path / "none")]) == 2
    assert "--transcripts FOLDER" in capsys.readouterr().err
    assert moments.main(["--transcripts", str(tmp_path)]) == 2


def test_the_command_fails_for_an_unreadable_file_and_when_ours_is_not_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(segmenters, "topic_starts", lambda texts, **_: (0, 2))
    data, report_file = tmp_path / "data", tmp_path / "report.json"
    write_tinyrec(data, fine=[[0, 1, ""], [2, 5, ""]])
    run = ["--transcripts", str(data), "--processes", "1", "--json", str(report_file)]
    assert moments.main([*run, "--check"]) == 0
    assert json.loads(report_file.read_text())["sets"][0]["leads"] is True

    write_tinyrec(data, fine=[[0, 2, ""], [3, 5, ""]])
    assert moments.main(run) == 0
    assert moments.main([*run, "--check"]) == 1

    write(data / "choi" / "bad.ref", "no separator")
    assert moments.main(run) == 1
    assert "bad.ref" in capsys.readouterr().err
