from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moment_finding_samples import spoken, transcript_of, transcripts

from videomoments_dagster.moments.finding.speech_layout import split_sentences
from videomoments_dagster.moments.finding.terms import sentence_centrality, sentence_terms, stem
from videomoments_dagster.speech.transcripts import Segment, Transcript, Word


def sentences_of(transcript: Transcript) -> list[str]:
    return [s.text for s in split_sentences(transcript.words, transcript.segments)]


@settings(deadline=None)
@given(sample=transcripts(max_words=100))
def test_sentences_cover_every_word_once_and_in_order(sample: tuple[Transcript, float]) -> None:
    transcript, _ = sample
    sentences = split_sentences(transcript.words, transcript.segments)
    covered = [at for sentence in sentences for at in range(sentence.first, sentence.stop)]
    assert covered == list(range(len(transcript.words)))
    for sentence in sentences:
        assert sentence.start == transcript.words[sentence.first].start
        assert sentence.end in {w.end for w in transcript.words[sentence.first : sentence.stop]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It works. We ship it.", ["It works.", "We ship it."]),
        ("Ask Dr. Smith about it. He knows.", ["Ask Dr. Smith about it.", "He knows."]),
        ("It costs 3. 5 euros today. Good.", ["It costs 3. 5 euros today.", "Good."]),
        ("About 3.5 metres e.g. here. Fine!", ["About 3.5 metres e.g. here.", "Fine!"]),
        ("He said 'go.' Then he went?", ["He said 'go.'", "Then he went?"]),
        ("Well... maybe not. J. Doe asked.", ["Well... maybe not.", "J. Doe asked."]),
        ("In the U.S. we met. Done.", ["In the U.S. we met.", "Done."]),
        ("That was in 1960. Then came more.", ["That was in 1960.", "Then came more."]),
    ],
)
def test_full_stops_end_sentences_but_not_abbreviations(text: str, expected: list[str]) -> None:
    assert sentences_of(spoken([text])) == expected


def test_without_punctuation_segments_end_sentences() -> None:
    first = "the volcano sends hot lava down the slope"
    second = "bread starts with flour and water and yeast"
    assert sentences_of(spoken([first, second], pause=0.0)) == [first, second]


def test_cues_of_a_few_words_are_not_sentences() -> None:
    cues = [f"cue {number} says" for number in range(12)]
    assert len(sentences_of(spoken(cues, pause=0.0))) == 4


def test_with_punctuation_segments_do_not_end_sentences() -> None:
    assert sentences_of(spoken(["The volcano sends", "hot lava down."])) == [
        "The volcano sends hot lava down."
    ]


def test_pauses_end_sentences() -> None:
    words = [Word("one", 0.0, 0.4), Word("two", 0.5, 0.9), Word("three", 4.0, 4.4)]
    assert sentences_of(transcript_of(words)) == ["one two", "three"]


def test_a_very_long_sentence_is_split_at_its_longest_pause() -> None:
    words = []
    for number in range(90):
        start = number * 0.3 + (0.5 if number >= 37 else 0.0)
        words.append(Word(f"w{number}", start, start + 0.3))
    sentences = split_sentences(words, [Segment("", 0.0, 30.0)])
    assert [(s.first, s.stop) for s in sentences] == [(0, 37), (37, 90)]


@pytest.mark.parametrize(
    "group",
    [
        ("rise", "rises", "rising"),
        ("knead", "kneads", "kneading", "kneaded"),
        ("stop", "stopped", "stopping", "stops"),
        ("city", "cities"),
        ("box", "boxes"),
        ("segmentation", "segmentations"),
    ],
)
def test_inflections_share_a_stem(group: tuple[str, ...]) -> None:
    assert len({stem(word) for word in group}) == 1


@pytest.mark.parametrize("word", ["gas", "bus", "thing", "king", "red", "class", "this", "a", ""])
def test_short_words_keep_their_ends(word: str) -> None:
    assert stem(word) == word


def test_stop_words_and_punctuation_are_no_terms() -> None:
    assert sentence_terms(["And so it doesn't, you know — we're here!"], language="en") == [[]]


def test_unspaced_scripts_have_terms() -> None:
    assert sentence_terms(["東京都に行く"], language="ja")[0][:2] == ["東京", "京都"]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=6), max_size=12))
def test_centrality_is_the_stationary_rank_of_the_similarity_matrix(
    sentences: list[list[str]],
) -> None:
    rank = sentence_centrality(sentences)
    assert rank.shape == (len(sentences),)
    present = np.array([bool(terms) for terms in sentences], dtype=bool)
    assert (rank[~present] == 0).all()
    if not present.any():
        return
    assert rank[present].mean() == pytest.approx(1.0)
    vocabulary = sorted({term for terms in sentences for term in terms})
    counts = np.array([[terms.count(term) for term in vocabulary] for terms in sentences], float)
    vectors = counts * np.log1p(len(sentences) / (counts > 0).sum(axis=0))
    vectors = vectors[present] / np.linalg.norm(vectors[present], axis=1, keepdims=True)
    similarity = vectors @ vectors.T
    walk = similarity / similarity.sum(axis=1, keepdims=True)
    expected = 0.15 + 0.85 * walk.T @ rank[present]
    assert rank[present] == pytest.approx(expected, abs=1e-5)


def test_the_sentence_that_shares_most_with_the_others_is_most_central() -> None:
    texts = ["Lava cools.", "The crater smokes.", "Lava fills the crater.", "Bread rises."]
    rank = sentence_centrality(sentence_terms(texts, language="en"))
    assert int(np.argmax(rank)) == 2
