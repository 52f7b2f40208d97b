"""The `refined_moments` asset: the same moments with better boundaries."""

import dagster as dg

from videomoments_dagster.base.fingerprints import fingerprint
from videomoments_dagster.core.asset import GROUP, OWNERS, Computation, materialise
from videomoments_dagster.core.dagster_failures import RETRY_OUTSIDE, failures_reported
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.pools import LANGUAGE_MODEL
from videomoments_dagster.core.resources.language_models_resource import LanguageModelsResource
from videomoments_dagster.core.resources.media_resource import MediaResource
from videomoments_dagster.core.resources.stored_results_resource import StoredResultsResource
from videomoments_dagster.media.frame_samples import FrameSamples
from videomoments_dagster.moments.checks.required import require_places, require_word_times
from videomoments_dagster.moments.checks.result_checks import REFINED_CHECKS, refined_checks
from videomoments_dagster.moments.finding.outcomes import Boundaries, Refined
from videomoments_dagster.moments.identity import config_hash, moment_identifier
from videomoments_dagster.moments.metadata.moments_metadata import moments_metadata
from videomoments_dagster.moments.moment_work import (
    PART_KEY,
    MomentWorkConfig,
    account,
    engine_for,
    stored_part,
    with_scores,
)
from videomoments_dagster.moments.partitions import VIDEOS
from videomoments_dagster.moments.records import Moment, Moments, SelectedConfigs, Video
from videomoments_dagster.moments.versions import (
    moments_version,
    scoring_version,
    transcript_version,
)
from videomoments_dagster.speech.transcript import Transcript

CODE_VERSION = "2"


@dg.asset(
    partitions_def=VIDEOS,
    group_name=GROUP,
    pool=LANGUAGE_MODEL,
    owners=OWNERS,
    kinds={"postgres", "openai"},
    code_version=CODE_VERSION,
    retry_policy=RETRY_OUTSIDE,
    # Beside checks, Dagster takes a MaterializeResult to have no value unless it is told.
    dagster_type=dg.Any,
    check_specs=REFINED_CHECKS,
    description="""Each moment once more, its start and end moved to the best edge near them.

Reads the moments, the transcript and the refinement config. Writes one refined row of `moments`
per root moment, never further from it than the profile's `max_shift_seconds`. A language model
sees the words around a moment and, if it sees pictures, some frames; where its answer cannot be
used, the root's boundaries stay, and the metadata counts it. Clips are cut from the root moments,
not from these. If it fails, a result that it needs is missing, or a model's server is; the message
names the asset to materialise or the setting.""",
)
def refined_moments(
    context: dg.AssetExecutionContext,
    config: MomentWorkConfig,
    video: Video,
    transcript: Transcript,
    generation_config: SelectedConfigs,
    moments: Moments,
    results: StoredResultsResource,
    language_models: LanguageModelsResource,
    media: MediaResource,
) -> dg.MaterializeResult:  # type: ignore[type-arg]  # no other is taken beside checks
    """Refine every root moment, and score the result."""
    refinement, scoring = generation_config.refinement, generation_config.scoring
    max_shift = generation_config.max_shift_seconds
    duration = video.facts.duration_seconds
    with failures_reported(Partition("moments", video.identifier), step="refined_moments"):
        refiner = engine_for(context, language_models, refinement.model, ask_again=config.force)
        scorer = engine_for(
            context, language_models, scoring.model, ask_again=config.force or config.rescore
        )
        inputs = {
            "moments": [root.identifier for root in moments.moments],
            "titles": [root.title for root in moments.moments],
            "transcript": transcript_version(transcript),
            "config": config_hash(refinement),
            "duration_seconds": duration,
            "video": video.content_hash,
        }
        settings = {"engine_version": refiner.version, "max_shift_seconds": max_shift}
        part = fingerprint(code_version=CODE_VERSION, inputs=inputs, settings=settings)

        def refine() -> "Refined":
            kept = stored_part(
                results, asset="refined_moments", video=video.identifier, fingerprint=part
            )
            if kept is not None and not config.force:
                context.log.info("Keeping the boundaries that were refined before.")
                return _refined_before(kept, moments)
            if moments.moments:
                language_models.check_servers((refinement.model, scoring.model))
            context.log.info("Refining the moments' boundaries with %s.", refinement.model)
            return refiner.refine(
                moments.moments,
                transcript,
                config=refinement,
                max_shift_seconds=max_shift,
                duration_seconds=duration,
                frames=FrameSamples(lambda: media.local_file(video.cloud_url), facts=video.facts),
            )

        def compute() -> Computation[Moments]:
            require_word_times(transcript, duration_seconds=duration)
            require_places(moments, asset="moments", duration_seconds=duration)
            before = results.value(asset="refined_moments", video=video.identifier)
            refined = refine()
            scored = scorer.score(
                refined.boundaries, transcript, duration_seconds=duration, config=scoring
            )
            result = Moments(
                moments=with_scores(
                    [
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
                        )
                        for root, span in zip(moments.moments, refined.boundaries, strict=True)
                    ],
                    scored,
                    scoring_model=scorer.name,
                    before=before,
                    anew=config.rescore or config.force,
                ),
                why_fewer=moments.why_fewer,
            )
            moved = sum(
                (span.start_time, span.end_time) != (root.start_time, root.end_time)
                for root, span in zip(moments.moments, refined.boundaries, strict=True)
            )
            context.log.info(
                "Moved the boundaries of %d of %d moments.", moved, len(result.moments)
            )
            return Computation(
                value=result,
                data_version=moments_version(result),
                details={
                    "refined_moments": len(result.moments),
                    "moved": moved,
                    "max_shift_seconds": max_shift,
                    "why_fewer": result.why_fewer,
                    "model": refinement.model,
                    "scoring_model": scoring.model,
                    PART_KEY: "" if refined.report.failures else part,
                },
                metadata=account(context, {"refining": refined.report, "scoring": scored.report}),
                complete=not (refined.report.failures or scored.report.failures),
                checks=refined_checks(
                    result, moments, generation_config, duration_seconds=duration
                ),
            )

        return materialise(
            context,
            results,
            code_version=CODE_VERSION,
            inputs={**inputs, "scoring": scoring_version(scoring)},
            settings={**settings, "scoring_version": scorer.version},
            force=config.force or config.rescore,
            compute=compute,
            told=lambda stored, _: moments_metadata(
                stored, roots=moments, transcript=transcript, duration_seconds=duration
            ),
            checks_when_unchanged=lambda stored, _: refined_checks(
                stored, moments, generation_config, duration_seconds=duration
            ),
        )


def _refined_before(stored: Moments, roots: Moments) -> "Refined":
    """Stored boundaries in the order of their roots; the fingerprint says that each has one."""
    child = {moment.parent_identifier: moment for moment in stored.moments}
    return Refined(
        boundaries=tuple(
            Boundaries(
                start_time=child[root.identifier].start_time,
                end_time=child[root.identifier].end_time,
            )
            for root in roots.moments
        )
    )
