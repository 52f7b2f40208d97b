"""Shows what came out: tables for people, JSON for programs.

Belongs here: presentation. Does not belong here: any computation but rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from topic_boundaries.comparison import Comparison, Difference, Quality, Results
from topic_boundaries.measures import NEAR_SECONDS, RESAMPLES
from topic_boundaries.moment_shares import MEASURES, MomentShares, Share

_BEST = " *"
_NO_MARK = "  "


def boundaries_table(comparisons: Sequence[Comparison]) -> Table:
    """One row a method and set; the best value of a column within a set has a star."""
    table = Table(title="Topic boundaries against those that people drew", title_justify="left")
    table.add_column("set")
    table.add_column("method", no_wrap=True)
    for heading in ("Pk", "WindowDiff", f"F1 in {NEAR_SECONDS:g} s", "segments", "by people"):
        table.add_column(heading, justify="right")
    for comparison in comparisons:
        means = {method: comparison.mean(method) for method in comparison.qualities}
        columns = [
            _marked(means, value=lambda quality: quality.pk, best=min),
            _marked(means, value=lambda quality: quality.windowdiff, best=min),
            _marked(means, value=lambda quality: quality.f1, best=max),
        ]
        for at, (method, mean) in enumerate(means.items()):
            table.add_row(
                f"{comparison.name} ({len(comparison.documents)})" if at == 0 else "",
                method,
                *(column[method] for column in columns),
                f"{mean.segments:.1f}",
                f"{comparison.reference_segments:.1f}",
            )
        table.add_section()
    return table


def _marked(
    means: dict[str, Quality],
    *,
    value: Callable[[Quality], float | None],
    best: Callable[[list[float]], float],
) -> dict[str, str]:
    values = {method: value(mean) for method, mean in means.items()}
    known = [number for number in values.values() if number is not None]
    if not known:
        return dict.fromkeys(means, "-" + _NO_MARK)
    return {
        method: "-" + _NO_MARK
        if number is None
        else f"{number:.3f}{_BEST if number == best(known) else _NO_MARK}"
        for method, number in values.items()
    }


def moments_table(measured: Sequence[MomentShares]) -> Table:
    """What users get: one row a set and method, shares of moments with their 95% intervals."""
    table = Table(title="Moments of the default profile", title_justify="left")
    table.add_column("set")
    table.add_column("method", no_wrap=True)
    for heading in ("a recording", *MEASURES):
        table.add_column(heading, justify="right")
    said = ""
    for one in measured:
        if said and one.set_name != said:
            table.add_section()
        name = "" if one.set_name == said else f"{one.set_name} ({len(one.counts)})"
        shares = (_share(share) for share in one.shares().values())
        table.add_row(name, one.method, f"{one.per_recording:.1f}", *shares)
        said = one.set_name
    return table


def _share(share: Share | None) -> str:
    if share is None:
        return "-"
    return f"{share.value:.0%}  [{share.low:.0%}, {share.high:.0%}]"


def footer(results: Results) -> Iterator[str]:
    """Lines below the first table: how sure the differences are, and where ours leads."""
    yield (
        f"Ours minus the best rival, and the 95% interval of a paired bootstrap over documents "
        f"({RESAMPLES:,} resamples); below 0 ours is better:"
    )
    for comparison in results.comparisons:
        of_set = ", ".join(_said(difference) for difference in comparison.differences())
        yield f"  {comparison.name}: {of_set}"
    yield (
        "(told how many): knows how many segments the texts of the set have on average, which no "
        "method can know."
    )
    if results.text_tiling_failed:
        yield (
            f"NLTK TextTiling raised on {results.text_tiling_failed} texts, which counts as no "
            "boundaries."
        )
    yield verdict(results.comparisons)


def _said(difference: Difference) -> str:
    return (
        f"{difference.measure} {difference.mean:+.3f} [{difference.low:+.3f}, "
        f"{difference.high:+.3f}] against {difference.rival}"
    )


def verdict(comparisons: Sequence[Comparison]) -> str:
    """On which sets ours is first on both Pk and WindowDiff."""
    first = [comparison.name for comparison in comparisons if comparison.leads()]
    other = [comparison.name for comparison in comparisons if not comparison.leads()]
    said = f"The extractive engine leads on Pk and WindowDiff on: {', '.join(first) or 'no set'}."
    return f"{said} It does not on: {', '.join(other)}." if other else said


def as_json(results: Results, *, shares: Sequence[MomentShares], problems: Sequence[str]) -> Any:
    """Everything measured, down to single documents.

    Args:
        results: The comparison.
        shares: What was counted of moments.
        problems: What could not be read.
    """
    return {
        "sets": [
            {
                "name": comparison.name,
                "reference_segments": comparison.reference_segments,
                "leads": comparison.leads(),
                "differences": [asdict(difference) for difference in comparison.differences()],
                "methods": {
                    method: {
                        "mean": asdict(comparison.mean(method)),
                        "documents": {
                            name: asdict(quality)
                            for name, quality in zip(comparison.documents, qualities, strict=True)
                        },
                    }
                    for method, qualities in comparison.qualities.items()
                },
            }
            for comparison in results.comparisons
        ],
        "moments": [
            {
                "set": one.set_name,
                "method": one.method,
                "shares": {name: share and asdict(share) for name, share in one.shares().items()},
                "recordings": {
                    name: [None if math.isnan(value) else value for value in counts]
                    for name, counts in one.counts.items()
                },
            }
            for one in shares
        ],
        "our_seconds": results.our_seconds,
        "text_tiling_failed": results.text_tiling_failed,
        "problems": list(problems),
    }
