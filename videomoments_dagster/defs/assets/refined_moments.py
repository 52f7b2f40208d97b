"""The `refined_moments` asset: the same moments with better boundaries."""

from datetime import UTC, datetime
from itertools import zip_longest
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
from videomoments_dagster.moment_finding.engines import Boundaries, moment_engine
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
    description="""Each moment once more, its start and end moved to the best edge near them.

Reads the moments, the transcript and the refinement config. Writes one refined row of `moments`
per root moment, never further from it than the profile's `max_shift_seconds`. Clips are cut from
the root moments, not from these. If it fails, a result that it needs is missing; the message names
the asset to materialise.""",
)
def refined_moments(
    context: dg.AssetExecutionContext,
    config: MaterialisationConfig,
    video: Video,
    transcript: Transcript,
    generation_config: SelectedConfigs,
    moments: Moments,
    results: StoredResultsResource,
) -> dg.MaterializeResult[Any]:
    """Refine every root moment, and score the result."""
    refinement = generation_config.refinement
    duration = video.facts.duration_seconds
    with failures_reported(video=video.identifier, step="refined_moments"):
        engine = moment_engine(refinement.model)

        def compute() -> Computation[Moments]:
            spans: list[Boundaries] = []
            for root, following in zip_longest(moments.moments, moments.moments[1:]):
                spans.append(
                    engine.refine(
                        root,
                        transcript,
                        config=refinement,
                        max_shift_seconds=generation_config.max_shift_seconds,
                        duration_seconds=duration,
                        earliest_seconds=spans[-1].end_time if spans else 0.0,
                        latest_seconds=following.start_time if following else duration,
                    )
                )
            scores = engine.score(spans, transcript, duration_seconds=duration)
            scored_at = datetime.now(UTC).replace(tzinfo=None)
            result = Moments(
                moments=tuple(
                    Moment(
                        identifier=moment_identifier(
                            video=video.identifier,
                            config=refinement,
                            start_time=span.start_time,
                            end_time=span.end_time,
                            parent=root.identifier,
                        ),
                        start_time=span.start_time,
                        end_time=span.end_time,
                        title=root.title,
                        generation_model=refinement.model,
                        parent_identifier=root.identifier,
                        score=score,
                        scoring_model=engine.scoring_model,
                        scored_at=scored_at,
                    )
                    for root, span, score in zip(moments.moments, spans, scores, strict=True)
                ),
                why_fewer=moments.why_fewer,
            )
            moved = sum(
                (span.start_time, span.end_time) != (root.start_time, root.end_time)
                for root, span in zip(moments.moments, spans, strict=True)
            )
            context.log.info("Moved the boundaries of %d of %d moments", moved, len(spans))
            return Computation(
                value=result,
                data_version=moments_version(result),
                details={
                    "refined_moments": len(result.moments),
                    "moved": moved,
                    "max_shift_seconds": generation_config.max_shift_seconds,
                    "why_fewer": result.why_fewer,
                },
                metadata={"table": moments_table(result)},
            )

        return materialise(
            context,
            results,
            code_version=CODE_VERSION,
            inputs={
                "moments": [root.identifier for root in moments.moments],
                "titles": [root.title for root in moments.moments],
                "transcript": transcript_version(transcript),
                "config": config_hash(refinement),
                "duration_seconds": duration,
            },
            settings={
                "engine_version": engine.version,
                "max_shift_seconds": generation_config.max_shift_seconds,
            },
            force=config.force,
            compute=compute,
        )
