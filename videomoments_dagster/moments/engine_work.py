"""What `moments` and `refined_moments` share: engines, scores, and what their work came to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import reduce
from operator import add
from typing import Any

import dagster as dg
from pydantic import Field

from videomoments_dagster.core.asset import MaterialisationConfig, Previous
from videomoments_dagster.core.resources import LanguageModelsResource
from videomoments_dagster.core.run_tags import FAILED_PARTS_KEY
from videomoments_dagster.language_models.questions import Spent
from videomoments_dagster.moments.finding.extractive import EXTRACTIVE_MODEL
from videomoments_dagster.moments.finding.moment_engines import (
    ExtractiveEngine,
    LanguageModelEngine,
    MomentEngine,
)
from videomoments_dagster.moments.finding.outcomes import Scored, WorkReport
from videomoments_dagster.moments.records import Moment, Moments
from videomoments_dagster.moments.system import MOMENTS

PART_KEY = "stored_part"
"""Name, in what is remembered of a result, of the fingerprint of its part without scores."""

_MOST_FAILURES_SHOWN = 20


class EngineConfig(MaterialisationConfig):
    """Run config of `moments` and `refined_moments`."""

    rescore: bool = Field(
        default=False,
        description="Score the stored moments again, without finding or refining them again. "
        "What was found with another config, transcript or model is found again all the same.",
    )


def check_servers(language_models: LanguageModelsResource, names: Iterable[str]) -> None:
    """Make sure, within seconds, that the servers of these engines answer.

    Raises:
        SettingsRejected: If a model is unknown or its key is missing.
        LanguageModelRefused: If nobody answers, or the key is refused.
    """
    language_models.check_servers(set(names) - {EXTRACTIVE_MODEL})


def engine_for(
    context: dg.AssetExecutionContext,
    language_models: LanguageModelsResource,
    model: str,
    *,
    ask_again: bool,
) -> MomentEngine:
    """The engine that a profile calls `model`: `extractive`, or a language model.

    Args:
        context: Of the executing asset; its partition key is the video.
        language_models: The models that there are.
        model: Name of the engine or model.
        ask_again: Whether answers that were kept before this run count for nothing.
    """
    if model == EXTRACTIVE_MODEL:
        return ExtractiveEngine()
    return LanguageModelEngine(
        language_models.interview(
            model,
            partition=MOMENTS.partition(context.partition_key),
            run_id=context.run.run_id,
            answers_since=_created_at(context) if ask_again else None,
            said=lambda sentence: context.log.info("%s", sentence),
        )
    )


def _created_at(context: dg.AssetExecutionContext) -> datetime | None:
    record = context.instance.get_run_record_by_id(context.run.run_id)
    return None if record is None else record.create_timestamp.astimezone(UTC).replace(tzinfo=None)


def stored_part(previous: Previous[Moments], fingerprint: str) -> Moments | None:
    """The stored moments, if their times and titles were made from just the same.

    Scores play no part in it: with other criteria, only they are made again.
    """
    same = not previous.force and previous.details.get(PART_KEY) == fingerprint
    return previous.value if same and previous.is_intact else None


def with_scores(
    moments: Sequence[Moment],
    scored: Scored,
    *,
    scoring_model: str,
    before: Moments | None,
    anew: bool,
) -> tuple[Moment, ...]:
    """The moments with their scores.

    A score that could not be had leaves the one from before; one that is as before keeps its
    time, unless it was asked for anew.

    Args:
        moments: Moments without scores.
        scored: Their scores, in the same order.
        scoring_model: Who scored.
        before: What is stored, if anything.
        anew: Whether an equal score counts as a new one.
    """
    known = {moment.identifier: moment for moment in before.moments} if before else {}
    now = datetime.now(UTC).replace(tzinfo=None)
    result: list[Moment] = []
    for moment, score in zip(moments, scored.scores, strict=True):
        old = known.get(moment.identifier)
        same = old is not None and (old.score, old.scoring_model) == (score, scoring_model)
        if old is not None and (score is None or (same and not anew)):
            result.append(
                replace(
                    moment,
                    score=old.score,
                    scoring_model=old.scoring_model,
                    scored_at=old.scored_at,
                )
            )
        elif score is None:
            result.append(moment)
        else:
            result.append(replace(moment, score=score, scoring_model=scoring_model, scored_at=now))
    return tuple(result)


def work_metadata(context: dg.AssetExecutionContext, **reports: WorkReport) -> dict[str, Any]:
    """Log what was lost, and give the metadata of the work.

    Args:
        context: Of the executing asset.
        **reports: What each part of the work came to, by name, such as "finding".

    Returns:
        Calls, tokens, cost and counts; totals of this materialisation only.
    """
    failures = [
        f"{name}, {failure}" for name, report in reports.items() for failure in report.failures
    ]
    for failure in failures:
        context.log.warning("%s.", failure)
    metadata: dict[str, Any] = {}
    counts = {name: dict(report.counts) for name, report in reports.items() if report.counts}
    if counts:
        metadata["counts"] = dg.MetadataValue.json(counts)
        for name, of_part in counts.items():
            told = ", ".join(f"{what}: {count}" for what, count in of_part.items())
            context.log.info("%s came to this: %s.", name.capitalize(), told)
    spent = reduce(add, (report.spent for report in reports.values()), Spent())
    if spent != Spent():
        metadata |= {
            "model_calls": spent.calls,
            "kept_answers": spent.kept_answers,
            "repaired_answers": spent.repairs,
            "prompt_tokens": spent.prompt_tokens,
            "completion_tokens": spent.completion_tokens,
        }
        if spent.cost is not None:
            metadata["cost"] = spent.cost
    if failures:
        metadata[FAILED_PARTS_KEY] = len(failures)
        shown = [f"- {failure}" for failure in failures[:_MOST_FAILURES_SHOWN]]
        if len(failures) > _MOST_FAILURES_SHOWN:
            shown.append(f"- and {len(failures) - _MOST_FAILURES_SHOWN} more")
        metadata["failures"] = dg.MetadataValue.text("\n".join(shown))
    return metadata
