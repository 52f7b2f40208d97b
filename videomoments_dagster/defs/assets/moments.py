"""The `moments` asset: the stretches worth watching, scored."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from videomoments_dagster.defs.materialisation import (
    GROUP,
    OWNERS,
    Computation,
    MaterialisationConfig,
    materialise,
)
from videomoments_dagster.defs.reporting import RETRY_OUTSIDE, failures_reported
from videomoments_dagster.defs.tables import moments_table
from videomoments_dagster.identity import config_hash, moment_identifier
from videomoments_dagster.moment_finding.engines import moment_engine
from videomoments_dagster.partitions import VIDEOS
from videomoments_dagster.records import Moment, Moments, SelectedConfigs, Transcript, Video
from videomoments_dagster.resources.stored_results import StoredResultsResource
from videomoments_dagster.versions import moments_version, transcript_version

CODE_VERSION = "1"


@dg.asset(
    partitions_def=VIDEOS,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"postgres", "numpy"},
    code_version=CODE_VERSION,
    retry_policy=RETRY_OUTSIDE,
    description="""The stretches of the video that are worth watching, with scores from 0 to 10.

Reads the transcript and the generation config. Writes rows of `moments` as a difference: what is
the same stays, with its clip. No speech is no failure: there are no moments then, and the
metadata says why. If it fails, the message names the engine or the setting.""",
)
def moments(
    context: dg.AssetExecutionContext,
    config: MaterialisationConfig,
    video: Video,
    transcript: Transcript,
    generation_config: SelectedConfigs,
    results: StoredResultsResource,
) -> dg.MaterializeResult[Any]:
    """Find moments, then score them in a pass of its own."""
    generation = generation_config.generation
    duration = video.facts.duration_seconds
    with failures_reported(video=video.identifier, step="moments"):
        engine = moment_engine(generation.model)

        def compute() -> Computation[Moments]:
            found = engine.find(transcript, duration_seconds=duration, config=generation)
            scores = engine.score(found.drafts, transcript, duration_seconds=duration)
            scored_at = datetime.now(UTC).replace(tzinfo=None)
            result = Moments(
                moments=tuple(
                    Moment(
                        identifier=moment_identifier(
                            video=video.identifier,
                            config=generation,
                            start_time=draft.start_time,
                            end_time=draft.end_time,
                        ),
                        start_time=draft.start_time,
                        end_time=draft.end_time,
                        title=draft.title,
                        generation_model=generation.model,
                        score=score,
                        scoring_model=engine.scoring_model,
                        scored_at=scored_at,
                    )
                    for draft, score in zip(found.drafts, scores, strict=True)
                ),
                why_fewer=found.why_fewer,
            )
            if found.why_fewer:
                context.log.warning("%s", found.why_fewer)
            context.log.info("Found %d moments", len(result.moments))
            return Computation(
                value=result,
                data_version=moments_version(result),
                details={
                    "moments": len(result.moments),
                    "why_fewer": result.why_fewer,
                    "model": generation.model,
                    "stored_config": config_hash(generation),
                },
                metadata={"table": moments_table(result)},
            )

        return materialise(
            context,
            results,
            code_version=CODE_VERSION,
            inputs={
                "transcript": transcript_version(transcript),
                "config": config_hash(generation),
                "duration_seconds": duration,
            },
            settings={"engine_version": engine.version},
            force=config.force,
            compute=compute,
        )
