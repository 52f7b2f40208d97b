"""What `moments` and `refined_moments` share: engines, scores, and what their work came to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import reduce
from operator import add
from typing import Any

import dagster as dg
from pydantic import Field

from videomoments_dagster.base.fingerprints import fingerprint
from videomoments_dagster.core.asset import Made, MaterialisationConfig, Previous
from videomoments_dagster.core.resources import LanguageModelsResource
from videomoments_dagster.core.run_tags import FAILED_PARTS_KEY
from videomoments_dagster.language_models.questions import Spent
from videomoments_dagster.moments.finding.extractive import EXTRACTIVE_MODEL
from videomoments_dagster.moments.finding.moment_engines import (
    ExtractiveEngine,
    LanguageModelEngine,
    MomentEngine,
)
from videomoments_dagster.moments.finding.outcomes import Scored, TimeSpan, WorkReport
from videomoments_dagster.moments.identity import (
    config_hash,
    moment_identifier,
    scoring_version,
    transcript_version,
)
from videomoments_dagster.moments.records import (
    GenerationConfig,
    Moment,
    Moments,
    ScoringConfig,
    Video,
)
from videomoments_dagster.moments.system import MOMENTS
from videomoments_dagster.speech.transcripts import Transcript

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


class EngineWork:
    """One materialisation of `moments` or `refined_moments`: two engines, and what they are for.

    Attributes:
        engine: Finds or refines.
        scorer: Scores what it found.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        language_models: LanguageModelsResource,
        previous: Previous[Moments],
        run_config: EngineConfig,
        config: GenerationConfig,
        scoring: ScoringConfig,
    ) -> None:
        """Make the engines.

        Args:
            context: Of the executing asset; its partition key is the video.
            language_models: The models that there are.
            previous: What is stored.
            run_config: What is to be made again in any case.
            config: How moments are found or refined.
            scoring: How they are scored.
        """
        self._context = context
        self._language_models = language_models
        self._previous = previous
        self._config = config
        self._scoring = scoring
        self._anew = run_config.rescore or run_config.force
        self._part = ""
        self.engine = self._engine_for(config.model, ask_again=run_config.force)
        self.scorer = self._engine_for(scoring.model, ask_again=self._anew)

    def _engine_for(self, model: str, *, ask_again: bool) -> MomentEngine:
        """The engine that a profile calls `model`: `extractive`, or a language model.

        Args:
            model: Name of the engine or model.
            ask_again: Whether answers that were kept before this run count for nothing.
        """
        if model == EXTRACTIVE_MODEL:
            return ExtractiveEngine()
        context = self._context
        return LanguageModelEngine(
            self._language_models.interview(
                model,
                partition=MOMENTS.partition(context.partition_key),
                run_id=context.run.run_id,
                answers_since=_created_at(context) if ask_again else None,
                said=lambda sentence: context.log.info("%s", sentence),
            )
        )

    def is_done(
        self,
        code_version: str,
        video: Video,
        transcript: Transcript,
        *,
        inputs: Mapping[str, object] | None = None,
        settings: Mapping[str, object] | None = None,
    ) -> bool:
        """Whether the stored moments and scores were made from just this and stand as they are.

        Args:
            code_version: Of the asset.
            video: The video; its length counts.
            transcript: What is said.
            inputs: Further inputs, as for `fingerprint`.
            settings: Further settings.
        """
        inputs = {
            "transcript": transcript_version(transcript),
            "config": config_hash(self._config),
            "duration_seconds": video.facts.duration_seconds,
            **(inputs or {}),
        }
        settings = {"engine_version": self.engine.version, **(settings or {})}
        self._part = fingerprint(code_version=code_version, inputs=inputs, settings=settings)
        same = self._previous.is_made_from(
            inputs={**inputs, "scoring": scoring_version(self._scoring)},
            settings={**settings, "scoring_version": self.scorer.version},
        )
        return same and not self._anew

    def stored_part(self) -> Moments | None:
        """The stored moments, if their times and titles were made from just the same.

        Scores play no part in it: with other criteria, only they are made again.
        """
        previous = self._previous
        same = not previous.force and previous.details.get(PART_KEY) == self._part
        return previous.value if same and previous.is_intact else None

    def check_servers(self) -> None:
        """Make sure that the servers of both engines answer; see `check_servers`."""
        check_servers(self._language_models, (self._config.model, self._scoring.model))

    def moment(
        self, video: Video, span: TimeSpan, title: str, root: Moment | None = None
    ) -> Moment:
        """A moment of the engine, without a score; `root` is the one that it refines."""
        parent = root.identifier if root else None
        return Moment(
            identifier=moment_identifier(
                video=video.identifier,
                config=self._config,
                start_time=span.start_time,
                end_time=span.end_time,
                parent=parent,
            ),
            start_time=span.start_time,
            end_time=span.end_time,
            title=title,
            generation_model=self._config.model,
            parent_identifier=parent,
        )

    def scored(
        self, moments: Sequence[Moment], transcript: Transcript, video: Video
    ) -> tuple[tuple[Moment, ...], WorkReport]:
        """The moments with their scores, and what scoring took."""
        scored = self.scorer.score(
            moments,
            transcript,
            duration_seconds=video.facts.duration_seconds,
            config=self._scoring,
        )
        result = with_scores(
            moments,
            scored,
            scoring_model=self.scorer.name,
            before=self._previous.value,
            anew=self._anew,
        )
        return result, scored.report

    def made(
        self,
        value: Moments,
        *,
        details: Mapping[str, object],
        scoring: WorkReport,
        **own: WorkReport,
    ) -> Made[Moments]:
        """What the asset hands on.

        Args:
            value: The scored moments.
            details: Facts that only this asset has.
            scoring: What scoring took.
            **own: What finding or refining took, under that name.
        """
        partial = any(report.failures for report in own.values())
        return Made(
            value=value,
            details={
                "why_fewer": value.why_fewer,
                "model": self._config.model,
                "scoring_model": self._scoring.model,
                PART_KEY: "" if partial else self._part,
                **details,
            },
            metadata=work_metadata(self._context, **own, scoring=scoring),
            complete=not (partial or scoring.failures),
        )


def _created_at(context: dg.AssetExecutionContext) -> datetime | None:
    record = context.instance.get_run_record_by_id(context.run.run_id)
    return None if record is None else record.create_timestamp.astimezone(UTC).replace(tzinfo=None)


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
