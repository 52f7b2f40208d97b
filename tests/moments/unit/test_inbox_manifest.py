"""Reading manifests, whatever is in them."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videomoments_dagster.moments.intake.arrivals import (
    captions_beside,
    is_media_name,
    read_manifest,
)

FOLDER = Path("/archive")


def read(text: str, name: str = "list.csv") -> list[tuple[str, str | None]]:
    return [
        (arrival.location, arrival.problem)
        for arrival in read_manifest(text, name=name, folder=FOLDER)
    ]


def test_a_csv_names_its_columns_in_any_order_and_leaves_out_what_it_likes() -> None:
    text = '\ufeffTitle, Source ,profile\n"A, talk",https://example.org/a.mp4,shorts\n,b.mp4,\n'
    first, second = read_manifest(text, name="list.csv", folder=FOLDER)
    assert (first.location, first.title, first.profile) == (
        "https://example.org/a.mp4",
        "A, talk",
        "shorts",
    )
    assert (second.location, second.title, second.profile) == ("/archive/b.mp4", None, None)


def test_json_lines_say_the_same() -> None:
    text = '{"source": "gs://b/a.mp4", "identifier": "a", "captions": "a.srt"}\n\n'
    [arrival] = read_manifest(text, name="list.jsonl", folder=FOLDER)
    assert (arrival.location, arrival.identifier, arrival.captions) == (
        "gs://b/a.mp4",
        "a",
        "/archive/a.srt",
    )


def test_a_bad_line_is_told_with_its_number_and_the_others_are_taken() -> None:
    text = 'x\n{"source": "a.mp4"}\n[1]\n{"title": "no source"}\n{"source": "ftp://h/a.mp4"}\n'
    *others, (where, scheme) = read(text, "list.jsonl")
    assert where == "list.jsonl#line 5"
    assert "has the scheme ftp://, which is not supported" in str(scheme)
    assert others == [
        ("list.jsonl#line 1", "it is no valid JSON"),
        ("/archive/a.mp4", None),
        ("list.jsonl#line 3", "it is no JSON object"),
        ("list.jsonl#line 4", "it names no source"),
    ]


def test_a_csv_without_a_source_column_is_one_problem() -> None:
    [(where, problem)] = read("a.mp4\nb.mp4\n")
    assert where == "list.csv#line 1"
    assert "names no column 'source'" in str(problem)


@pytest.mark.parametrize("name", ["list.csv", "list.jsonl"])
def test_an_empty_manifest_lists_nothing(name: str) -> None:
    assert read("", name) == []


@pytest.mark.parametrize("local", ["/etc/talk.mp4", "talk.mp4", "file:///etc/talk.mp4", "~/a.mp4"])
def test_a_manifest_in_a_bucket_names_no_files_of_this_machine(local: str) -> None:
    lines = [
        {"source": local},
        {"source": "gs://b/a.mp4", "captions": local},
        {"source": "gs://b/b.mp4", "captions": "gs://b/b.srt"},
    ]
    text = "\n".join(map(json.dumps, lines))
    first, second, third = read_manifest(text, name="gs://b/list.jsonl", folder=None)
    for line in (first, second):
        assert line.location.startswith("gs://b/list.jsonl#line ")
        assert "a file of this machine" in str(line.problem)
    assert (third.location, third.problem) == ("gs://b/b.mp4", None)


def test_a_source_that_is_named_twice_is_one_and_the_last_line_wins() -> None:
    text = "source,title\na.mp4,First\n./a.mp4,Second\n"
    [arrival] = read_manifest(text, name="list.csv", folder=FOLDER)
    assert arrival.title == "Second"


def test_a_line_is_new_again_only_when_it_says_something_else() -> None:
    def state(text: str) -> str:
        return read_manifest(text, name="list.csv", folder=FOLDER)[0].state

    assert state("source,title\na.mp4,T\n") == state("title,source\nT,a.mp4\n")
    assert state("source,title\na.mp4,T\n") != state("source,title\na.mp4,U\n")


@given(st.text(max_size=300), st.sampled_from(["list.csv", "list.jsonl"]))
def test_any_text_gives_arrivals_or_problems_and_never_an_exception(text: str, name: str) -> None:
    for arrival in read_manifest(text, name=name, folder=FOLDER):
        assert arrival.location
        assert len(arrival.key) == 64
        assert len(arrival.state) <= 100


@given(st.lists(st.dictionaries(st.sampled_from(["source", "title"]), st.text(min_size=1))))
def test_each_line_of_json_is_a_source_or_a_problem(
    lines: list[dict[str, str]],
) -> None:
    text = "\n".join(json.dumps(line) for line in lines)
    found = read_manifest(text, name="l.jsonl", folder=FOLDER)
    assert len(found) <= len(lines)
    assert {arrival.problem is None for arrival in found} <= {True, False}


@pytest.mark.parametrize("name", ["a.mp4", "deep/down/b.WEBM", "c.opus"])
def test_media_files_count(name: str) -> None:
    assert is_media_name(name)


@pytest.mark.parametrize(
    "name", ["a.txt", ".a.mp4.X7f2", ".hidden.mp4", ".cache/a.mp4", "a.mp4.part", "a.srt", "mp4"]
)
def test_other_and_unfinished_files_do_not(name: str) -> None:
    assert not is_media_name(name)


def test_captions_are_those_of_the_same_name_in_the_same_folder() -> None:
    present = dict.fromkeys(["a/talk.mp4", "a/talk.srt", "talk.vtt", "a/other.vtt"], 0)
    assert captions_beside("a/talk.mp4", present) == "a/talk.srt"
    assert captions_beside("talk.mp4", present) == "talk.vtt"
    assert captions_beside("b/talk.mp4", present) is None


def test_captions_may_be_named_after_the_whole_name_and_spell_accents_otherwise() -> None:
    assert captions_beside("talk.mp4", {"talk.mp4.srt": 0, "talk.srt": 0}) == "talk.mp4.srt"
    composed, apart = (unicodedata.normalize(form, "r\u00e9sum\u00e9") for form in ("NFC", "NFD"))
    assert captions_beside(f"{composed}.mp4", {f"{apart}.srt": 0}) == f"{apart}.srt"
    assert captions_beside(f"{apart}.mp4", {f"{composed}.vtt": 0}) == f"{composed}.vtt"
