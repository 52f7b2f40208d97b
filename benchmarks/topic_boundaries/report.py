"""Shows what came out: tables for people, JSON for programs.

Belongs here: presentation. Does not belong here: any computation but rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from topic_boundaries.comparison import OURS, Comparison, Difference, Quality, Results
from topic_boundaries.measures import NEAR_SECONDS, RESAMPLES
from topic_boundaries.moment_edges import LEVEL, MomentEdges

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


def moments_table(edges: MomentEdges) -> Table:
    """What users get: where moments begin and end."""
    table = Table(
        title=f"Moments of the default profile against the {LEVEL} topics of tinyrec",
        title_justify="left",
    )
    for heading in (
        "moments",
        "how many",
        f"start within {NEAR_SECONDS:g} s of a topic's start",
        f"end within {NEAR_SECONDS:g} s of a topic's end",
    ):
        table.add_column(heading, justify="left" if heading == "moments" else "right")
    table.add_row(OURS, f"{edges.moments}", f"{edges.starts_near:.0%}", f"{edges.ends_near:.0%}")
    table.add_row(
        "random, of the same lengths",
        f"{edges.moments}",
        f"{edges.random_starts_near:.0%}",
        f"{edges.random_ends_near:.0%}",
    )
    return table


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


def as_json(results: Results, *, edges: MomentEdges | None, problems: Sequence[str]) -> Any:
    """Everything measured, down to single documents.

    Args:
        results: The comparison.
        edges: The measures of moments, if any.
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
        "moments": None if edges is None else asdict(edges),
        "our_seconds": results.our_seconds,
        "text_tiling_failed": results.text_tiling_failed,
        "problems": list(problems),
    }
