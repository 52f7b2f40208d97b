"""From sentences about what does not hold to the result of an asset check."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import dagster as dg

from videomoments_dagster.moments.partitions import VIDEOS

_SHOWN = 10

WARN = dg.AssetCheckSeverity.WARN
ERROR = dg.AssetCheckSeverity.ERROR


@contextmanager
def previews_accepted() -> Iterator[None]:
    """Partitioned checks made without a warning.

    Whoever starts this project can do nothing about Dagster calling them a preview.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        yield


def partitioned_spec(
    name: str, *, asset: str, description: str, blocking: bool = False
) -> dg.AssetCheckSpec:
    """The spec of a check that has a result for each video.

    Args:
        name: The check's name.
        asset: The asset that it is about.
        description: What it looks at, and what to do when it fails.
        blocking: Whether assets downstream wait for it, and don't begin where it fails.
    """
    with previews_accepted():
        return dg.AssetCheckSpec(
            name=name,
            asset=asset,
            description=description,
            blocking=blocking,
            partitions_def=VIDEOS,
        )


def outcome(
    problems: Sequence[str],
    *,
    name: str | None = None,
    severity: dg.AssetCheckSeverity,
    holds: str,
    remedy: str,
) -> dg.AssetCheckResult:
    """The result of a check, in words.

    Args:
        problems: What does not hold; nothing means that the check passes.
        name: The check, where its step has several.
        severity: How bad it is where it fails.
        holds: A sentence for where it passes.
        remedy: What to do where it fails, as a sentence without a full stop.
    """
    metadata: dict[str, int | dg.MetadataValue] = {"problems": len(problems)}
    if len(problems) > 1:
        shown = [f"- {problem}" for problem in problems[:_SHOWN]]
        if len(problems) > _SHOWN:
            shown.append(f"- and {len(problems) - _SHOWN} more")
        metadata["all_problems"] = dg.MetadataValue.text("\n".join(shown))
    return dg.AssetCheckResult(
        check_name=name,
        passed=not problems,
        severity=severity,
        description=_sentence(problems, remedy) if problems else holds,
        metadata=metadata,
    )


def _sentence(problems: Sequence[str], remedy: str) -> str:
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    first = problems[0]
    return f"{first[:1].upper()}{first[1:]}{more}. {remedy}."
