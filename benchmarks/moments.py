"""`make bench-moments`: topic boundaries and moments against those that people drew.

The extractive engine against no boundaries, evenly spaced and random ones, and NLTK's TextTiling,
on transcripts that people divided into topics. The README beside this file says how it measures.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from topic_boundaries.comparison import compare
from topic_boundaries.moment_shares import (
    BEFORE,
    CHANCE,
    counts_before,
    halves,
    measure_moments,
    missed,
    recording_of_text,
)
from topic_boundaries.readers import TextSet, read_sets
from topic_boundaries.recordings import Recording, read_lectures, read_podcasts
from topic_boundaries.report import as_json, boundaries_table, footer, moments_table

TRANSCRIPTS = Path(__file__).resolve().parents[2] / "shared" / "realdata" / "transcripts"

_FAILED = 1
_NOTHING_TO_MEASURE = 2
_NARROWEST = 120


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark.

    Args:
        arguments: Of the command line; None for those of this process.

    Returns:
        The exit code: 0; 1 where a file cannot be read, or with `--check` where ours is not first;
        2 where there is nothing to measure.
    """
    began = time.perf_counter()
    asked = _parser().parse_args(arguments)
    if not asked.transcripts.is_dir():
        return _nothing(f"There is no folder {asked.transcripts}.")
    sets = read_sets(asked.transcripts)
    problems = [problem for text_set in sets for problem in text_set.unreadable]
    for line in (*(remark for text_set in sets for remark in text_set.remarks), *problems):
        print(line, file=sys.stderr)
    if not any(text_set.texts for text_set in sets):
        return _nothing(f"No transcript below {asked.transcripts} could be used.")
    results = compare(sets, processes=asked.processes)
    shares = measure_moments(recordings(asked.transcripts, sets), before=counts_before())
    worse = missed(shares, rival=BEFORE)
    console = Console(highlight=False)
    console.width = max(console.width, _NARROWEST)
    console.print(boundaries_table(results.comparisons))
    for line in footer(results):
        console.print(line, soft_wrap=True, markup=False)
    console.print()
    console.print(moments_table(shares))
    for line in (*worse, *missed(shares, rival=CHANCE)):
        console.print(f"Worse: {line}.", soft_wrap=True, markup=False)
    if problems:
        print(f"{len(problems)} files could not be read.")
    if asked.json is not None:
        _write_json(asked.json, as_json(results, shares=shares, problems=problems))
    print(
        f"The extractive engine took {results.our_seconds:.1f} s for all texts, everything "
        f"{time.perf_counter() - began:.0f} s."
    )
    trails = not all(comparison.leads() for comparison in results.comparisons)
    return _FAILED if problems or (asked.check and (trails or worse)) else 0


def recordings(folder: Path, sets: Sequence[TextSet]) -> dict[str, list[Recording]]:
    """What moments are looked for in, by set."""
    sessions = [text for text_set in sets for text in text_set.texts if "fine" in text.topic_starts]
    return {
        **halves("lectures", read_lectures(folder / "spoken")),
        **halves("podcasts", read_podcasts(folder / "talks")),
        "recorded sessions": [recording_of_text(text, level="fine") for text in sessions],
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--transcripts",
        type=Path,
        default=TRANSCRIPTS,
        metavar="FOLDER",
        help="has the folders spoken, talks, tinyrec*, qmsum and choi (default: %(default)s)",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write everything measured to this file"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="exit with 1 unless the extractive engine is first on Pk and WindowDiff on every set, "
        "and its moments are no worse than they were",
    )
    parser.add_argument(
        "--processes",
        type=int,
        default=max(os.cpu_count() or 1, 1),
        help="how many processes TextTiling may take (default: %(default)s)",
    )
    return parser


def _nothing(why: str) -> int:
    print(
        f"{why} Name a folder that has spoken/, tinyrec*/, qmsum/ or choi/ in it: "
        "python benchmarks/moments.py --transcripts FOLDER",
        file=sys.stderr,
    )
    return _NOTHING_TO_MEASURE


def _write_json(path: Path, value: object) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, path)  # noqa: PTH105


if __name__ == "__main__":
    sys.exit(main())
