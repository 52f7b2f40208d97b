"""The `refined_moments` asset: the same moments with better boundaries."""

import dagster as dg

from videomoments_dagster.base.fingerprints import fingerprint
from videomoments_dagster.core.asset import UNCHANGED, Made, Previous, Unchanged, asset
from videomoments_dagster.core.pools import LANGUAGE_MODEL
from videomoments_dagster.core.resources import LanguageModelsResource, MediaResource
from videomoments_dagster.media.frame_pictures import FrameSamples
from videomoments_dagster.moments.checks import (
    refined_moments_stay_near,
    require_places,
    require_word_times,
    stored_refined_moments,
)
from videomoments_dagster.moments.engine_work import (
    PART_KEY,
    EngineConfig,
    check_servers,
    engine_for,
    stored_part,
    with_scores,
    work_metadata,
)
from videomoments_dagster.moments.finding.outcomes import Boundaries, Refined
from videomoments_dagster.moments.identity import (
    config_hash,
    moment_identifier,
    scoring_version,
    transcript_version,
)
from videomoments_dagster.moments.metadata.moments_metadata import moments_metadata
from videomoments_dagster.moments.records import (
    GenerationConfig,
    Moment,
    Moments,
    SelectedConfigs,
    Video,
)
from videomoments_dagster.moments.storage.moment_rows import RefinedMomentRows
from videomoments_dagster.moments.system import MOMENTS
from videomoments_dagster.speech.transcript import Transcript

CODE_VERSION = "2"


@asset(
    MOMENTS,
    RefinedMomentRows(),
    code_version=CODE_VERSION,
    kinds={"postgres", "openai"},
    pool=LANGUAGE_MODEL,
    metadata=lambda stored, moments, transcript, video: moments_metadata(
        stored,
        roots=moments,
        transcript=transcript,
        duration_seconds=video.facts.duration_seconds,
    ),
    checks=[refined_moments_stay_near],
    stored_check=stored_refined_moments,
)
def refined_moments(
    context: dg.AssetExecutionContext,
    config: EngineConfig,
    video: Video,
    transcript: Transcript,
    generation_config: SelectedConfigs,
    moments: Moments,
    previous: Previous[Moments],
    language_models: LanguageModelsResource,
    media: MediaResource,
) -> Made[Moments] | Unchanged:
    """Each moment once more, its start and end moved to the best edge near them.

    Reads the moments, the transcript and the refinement config. Writes one refined row of `moments`
    per root moment, never further from it than the profile's `max_shift_seconds`. A language model
    sees the words around a moment and, if it sees pictures, some frames; where its answer cannot be
    used, the root's boundaries stay, and the metadata counts it. Clips are cut from the root
    moments, not from these. If it fails, a result that it needs is missing, or a model's server is;
    the message names the asset to materialise or the setting.
    """
    refinement, scoring = generation_config.refinement, generation_config.scoring
    anew = config.rescore or config.force
    refiner = engine_for(context, language_models, refinement.model, ask_again=config.force)
    scorer = engine_for(context, language_models, scoring.model, ask_again=anew)
    inputs = {
        "moments": [root.identifier for root in moments.moments],
        "titles": [root.title for root in moments.moments],
        "transcript": transcript_version(transcript),
        "config": config_hash(refinement),
        "duration_seconds": video.facts.duration_seconds,
        "video": video.content_hash,
    }
    settings = {
        "engine_version": refiner.version,
        "max_shift_seconds": generation_config.max_shift_seconds,
    }
    part = fingerprint(code_version=CODE_VERSION, inputs=inputs, settings=settings)
    same = previous.is_made_from(
        inputs={**inputs, "scoring": scoring_version(scoring)},
        settings={**settings, "scoring_version": scorer.version},
    )
    if same and not anew:
        return UNCHANGED
    require_word_times(transcript, video)
    require_places(moments, video)
    kept = stored_part(previous, part)
    if kept is not None:
        context.log.info("Keeping the boundaries that were refined before.")
        refined = _refined_before(kept, moments)
    else:
        if moments.moments:
            check_servers(language_models, (refinement.model, scoring.model))
        context.log.info("Refining the moments' boundaries with %s.", refinement.model)
        refined = refiner.refine(
            moments.moments,
            transcript,
            config=refinement,
            max_shift_seconds=generation_config.max_shift_seconds,
            duration_seconds=video.facts.duration_seconds,
            frames=FrameSamples(lambda: media.local_file(video.cloud_url), facts=video.facts),
        )
    scored = scorer.score(
        refined.boundaries,
        transcript,
        duration_seconds=video.facts.duration_seconds,
        config=scoring,
    )
    pairs = list(zip(moments.moments, refined.boundaries, strict=True))
    result = with_scores(
        [_moment(root, span, video, refinement) for root, span in pairs],
        scored,
        scoring_model=scorer.name,
        before=previous.value,
        anew=anew,
    )
    moved = sum((span.start_time, span.end_time) != (r.start_time, r.end_time) for r, span in pairs)
    context.log.info("Moved the boundaries of %d of %d moments.", moved, len(result))
    return Made(
        value=Moments(result, why_fewer=moments.why_fewer),
        details={
            "refined_moments": len(result),
            "moved": moved,
            "max_shift_seconds": generation_config.max_shift_seconds,
            "why_fewer": moments.why_fewer,
            "model": refinement.model,
            "scoring_model": scoring.model,
            PART_KEY: "" if refined.report.failures else part,
        },
        metadata=work_metadata(context, refining=refined.report, scoring=scored.report),
        complete=not (refined.report.failures or scored.report.failures),
    )


def _moment(root: Moment, span: Boundaries, video: Video, config: GenerationConfig) -> Moment:
    return Moment(
        identifier=moment_identifier(
            video=video.identifier,
            config=config,
            start_time=span.start_time,
            end_time=span.end_time,
            parent=root.identifier,
        ),
        start_time=span.start_time,
        end_time=span.end_time,
        title=root.title,
        generation_model=config.model,
        parent_identifier=root.identifier,
    )


def _refined_before(stored: Moments, roots: Moments) -> Refined:
    """Stored boundaries in the order of their roots; the fingerprint says that each has one."""
    child = {moment.parent_identifier: moment for moment in stored.moments}
    of_roots = (child[root.identifier] for root in roots.moments)
    return Refined(tuple(Boundaries(one.start_time, one.end_time) for one in of_roots))
