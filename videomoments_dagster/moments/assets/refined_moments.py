"""The `refined_moments` asset: the same moments with better boundaries."""

import dagster as dg

from videomoments_dagster.core.asset import UNCHANGED, Made, Previous, Unchanged, asset
from videomoments_dagster.core.media_files import MediaResource
from videomoments_dagster.core.pools import LANGUAGE_MODEL
from videomoments_dagster.core.resources import LanguageModelsResource
from videomoments_dagster.media.frame_pictures import FrameSamples
from videomoments_dagster.moments.checks import (
    refined_moments_stay_near,
    stored_refined_moments,
)
from videomoments_dagster.moments.engine_work import EngineConfig, EngineWork
from videomoments_dagster.moments.finding.outcomes import Boundaries, Refined
from videomoments_dagster.moments.identity import video_content
from videomoments_dagster.moments.metadata.materialisations import moments_metadata
from videomoments_dagster.moments.records import Moments, SelectedConfigs, Video
from videomoments_dagster.moments.soundness import require_places, require_word_times
from videomoments_dagster.moments.storage.moment_rows import (
    REFINING,
    TITLES,
    RefinedMomentRows,
)
from videomoments_dagster.moments.storage.video_rows import CONTENT
from videomoments_dagster.moments.system import MOMENTS
from videomoments_dagster.speech.transcripts import Transcript

CODE_VERSION = "2"


@asset(
    MOMENTS,
    RefinedMomentRows(),
    code_version=CODE_VERSION,
    kinds={"postgres", "python"},
    pool=LANGUAGE_MODEL,
    metadata=lambda stored, moments, transcript, video: moments_metadata(
        stored,
        roots=moments,
        transcript=transcript,
        duration_seconds=video.facts.duration_seconds,
    ),
    checks=[refined_moments_stay_near],
    stored_check=stored_refined_moments,
    depends_on={"video": CONTENT, "generation_config": REFINING, "moments": TITLES},
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

    Reads the moments, the transcript and the refinement config. Writes one refined row of 'moments'
    per root moment, never further from it than the profile's 'max_shift_seconds'. A language model
    sees the words around a moment and, if it sees pictures, some frames; where its answer cannot be
    used, the root's boundaries stay, and the metadata counts it. Clips are cut from the root
    moments, not from these. If it fails, a result that it needs is missing, or a model's server is;
    the message names the asset to materialise or the setting.
    """
    refinement, max_shift = generation_config.refinement, generation_config.max_shift_seconds
    scoring = generation_config.scoring
    work = EngineWork(context, language_models, previous, config, refinement, scoring)
    inputs = {
        "moments": [root.identifier for root in moments.moments],
        "titles": [root.title for root in moments.moments],
        "video": video_content(video),
    }
    settings = {"max_shift_seconds": max_shift}
    if work.is_done(CODE_VERSION, video, transcript, inputs=inputs, settings=settings):
        return UNCHANGED
    require_word_times(transcript, video)
    require_places(moments, video)
    kept = work.stored_part()
    if kept is not None:
        context.log.info("Keeping the boundaries that were refined before.")
        refined = _refined_before(kept, moments)
    else:
        if moments.moments:
            work.check_servers()
        context.log.info("Refining the moments' boundaries with %s.", refinement.model)
        refined = work.engine.refine(
            moments.moments,
            transcript,
            config=refinement,
            max_shift_seconds=max_shift,
            duration_seconds=video.facts.duration_seconds,
            frames=FrameSamples(lambda: media.local_file(video.cloud_url), facts=video.facts),
        )
    pairs = list(zip(moments.moments, refined.boundaries, strict=True))
    drafts = [work.moment(video, span, root.title, root) for root, span in pairs]
    result, scored = work.scored(drafts, transcript, video)
    moved = sum((span.start_time, span.end_time) != (r.start_time, r.end_time) for r, span in pairs)
    context.log.info("Moved the boundaries of %d of %d moments.", moved, len(result))
    return work.made(
        Moments(result, why_fewer=moments.why_fewer),
        details={"refined_moments": len(result), "moved": moved, "max_shift_seconds": max_shift},
        refining=refined.report,
        scoring=scored,
    )


def _refined_before(stored: Moments, roots: Moments) -> Refined:
    """Stored boundaries in the order of their roots; the fingerprint says that each has one."""
    child = {moment.parent_identifier: moment for moment in stored.moments}
    of_roots = (child[root.identifier] for root in roots.moments)
    return Refined(tuple(Boundaries(one.start_time, one.end_time) for one in of_roots))
