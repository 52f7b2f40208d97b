"""Moments found in real transcripts, where these lie beside the checkout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from moment_finding_samples import broken_promises, config, transcript_of

from videomoments_dagster.moments.finding.extractive import (
    find_moments,
    refine_moments,
    score_moments,
)
from videomoments_dagster.moments.finding.outcomes import Boundaries
from videomoments_dagster.speech.transcripts import Segment, Transcript, Word

RECORDINGS = Path(__file__).parents[3].parent / "shared/realdata/transcripts/tinyrec_dev"
FILES = sorted(p for p in RECORDINGS.glob("*.json") if not p.stem.endswith("_anno"))


def recorded(path: Path) -> Transcript:
    """Utterances with times; words are spread evenly over each, never before the one before."""
    (recording,) = json.loads(path.read_text()).values()
    words: list[Word] = []
    segments: list[Segment] = []
    heard = 0.0
    for entry in recording["entries"]:
        start = max(heard, entry["start"])
        heard = max(start, entry["end"])
        texts = entry["text"].split()
        if not texts:
            continue
        edges = [start + (heard - start) * n / len(texts) for n in range(len(texts))] + [heard]
        words += [Word(text, edges[n], edges[n + 1]) for n, text in enumerate(texts)]
        segments.append(Segment(entry["text"], start, heard))
    return transcript_of(words, segments)


@pytest.mark.skipif(not FILES, reason=f"no real transcripts in {RECORDINGS}")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem[:8])
def test_moments_of_a_recorded_session_keep_their_promises_and_scores_differ(path: Path) -> None:
    transcript = recorded(path)
    duration = transcript.words[-1].end
    limits = config(min_length=20.0, max_length=90.0, min_moments=5, max_moments=8)
    found = find_moments(transcript, duration_seconds=duration, config=limits)
    spans = [(draft.start_time, draft.end_time) for draft in found.drafts]
    assert broken_promises(spans, transcript, duration=duration, config=limits) == []
    assert len(found.drafts) >= 5
    assert found.why_fewer == ""
    scored = score_moments(found.drafts, transcript, duration_seconds=duration)
    assert len(set(scored.scores)) >= 3
    for start, end in spans:
        [child] = refine_moments(
            [Boundaries(start, end)],
            transcript,
            config=limits,
            max_shift_seconds=5.0,
            duration_seconds=duration,
        ).boundaries
        refined = (child.start_time, child.end_time)
        assert broken_promises([refined], transcript, duration=duration, config=limits) == []
