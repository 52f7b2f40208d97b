"""Titles of moments: how many hold a bare pronoun, are cut, or begin with a conjunction.

Lectures and concerts with word times, and podcasts with captions, in English. The README beside
this file says how it measures.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from refined_boundaries import REALDATA, lectures, podcasts
from rich.console import Console
from rich.table import Table

from videomoments_dagster.moments.finding.extractive import find_moments
from videomoments_dagster.moments.profiles import load_profiles, profile_named

# Looked at while the titles were worked on; the others were only measured.
LOOKED_AT = re.compile(
    r"3b1b-201[78]|3b1b-2019-bayes|3b1b-2021|bernstein-Ep01|bernstein-Ep29|500-|506-|512-|518-"
)
PROFILES = ("default", "shorts")

_NOTHING_TO_MEASURE = 2
_LONGEST = 60
_DRAWS = 10_000
_SEED = 20261128

# Counted wherever they stand, "this formula" too: strictly, whatever a person would think of it.
_PRONOUN = re.compile(
    r"(?<![\w'\u2019])(?:i|me|my|mine|you|your|yours|he|him|his|she|her|hers|it|its|we|us|our|ours|"
    r"they|them|their|theirs|this|that|these|those|which|who|whom|something|anything|everything|"
    r"nothing|somebody|someone|anyone|everyone|one|ones|there|here)(?![\w-])",
    re.IGNORECASE,
)
_CONJUNCTION = re.compile(
    r"(?:and|but|or|so|because|if|then|while|although|though|since|unless|yet|nor|as|when|"
    r"well|okay|yeah|now)\b",
    re.IGNORECASE,
)

MEASURES: Mapping[str, Callable[[str], bool]] = {
    "bare pronoun": lambda title: bool(_PRONOUN.search(title)),
    "ellipsis": lambda title: title.endswith(("\u2026", "...")),
    "leading conjunction": lambda title: bool(_CONJUNCTION.match(title)),
    f"over {_LONGEST} characters": lambda title: len(title) > _LONGEST,
}


@dataclass(frozen=True)
class Titled:
    """The titles of one recording by one profile.

    Attributes:
        name: Of its file.
        held_out: Whether nobody looked at it while titles were worked on.
        titles: In time order.
        seconds: What finding them took.
    """

    name: str
    held_out: bool
    titles: tuple[str, ...]
    seconds: float


def titled(folder: Path) -> Iterator[Titled]:
    """The titles of every recording, profile after profile."""
    profiles = load_profiles()
    for recording in (*lectures(folder / "spoken"), *podcasts(folder / "talks")):
        for profile in PROFILES:
            config = profile_named(profile, profiles).generation
            began = time.perf_counter()
            found = find_moments(
                recording.transcript, duration_seconds=recording.seconds, config=config
            )
            yield Titled(
                name=f"{recording.name}, {profile}",
                held_out=not LOOKED_AT.search(recording.name),
                titles=tuple(draft.title for draft in found.drafts),
                seconds=time.perf_counter() - began,
            )


def interval(counts: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """The 95% interval of a share, from resamples of the recordings.

    Args:
        counts: Of each recording, how many titles are so, and how many there are.
    """
    some = np.array(counts, float)
    drawn = np.random.default_rng(_SEED).integers(0, len(some), (_DRAWS, len(some)))
    so, of = np.moveaxis(some[drawn].sum(axis=1), -1, 0)
    low, high = np.quantile(so / np.maximum(of, 1), (0.025, 0.975))
    return float(low), float(high)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code is 0, or 2 where there is nothing to measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--transcripts", type=Path, default=REALDATA / "transcripts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every title to this file")
    parser.add_argument("--show", action="store_true", help="print titles of what was looked at")
    asked = parser.parse_args(arguments)
    found = list(titled(asked.transcripts))
    if not any(one.titles for one in found):
        print(f"No recording below {asked.transcripts} could be used.", file=sys.stderr)
        return _NOTHING_TO_MEASURE
    console = Console(highlight=False)
    for one in found if asked.show else ():
        if not one.held_out:
            print(one.name, *one.titles, sep="\n    ")
    table = Table("recordings", "titles", *MEASURES, "twice in a video")
    for held_out in (False, True):
        table.add_row(*_row([one for one in found if one.held_out is held_out], held_out=held_out))
    console.print(table)
    print(f"Finding took {sum(one.seconds for one in found):.1f} s for all of them.")
    if asked.json is not None:
        titles = {one.name: one.titles for one in found}
        asked.json.write_text(json.dumps(titles, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return 0


def _row(found: Sequence[Titled], *, held_out: bool) -> Iterator[str]:
    yield "held out" if held_out else "looked at"
    yield str(sum(len(one.titles) for one in found))
    for is_so in MEASURES.values():
        counts = [(sum(map(is_so, one.titles)), len(one.titles)) for one in found]
        share = sum(so for so, _ in counts) / max(sum(of for _, of in counts), 1)
        low, high = interval(counts) if counts else (0.0, 0.0)
        yield f"{share:.1%} ({low:.1%} to {high:.1%})"
    yield str(sum(len(one.titles) - len({t.casefold() for t in one.titles}) for one in found))


if __name__ == "__main__":
    sys.exit(main())
