"""The `moments` asset: the stretches worth watching, found and scored."""

import dagster as dg

from videomoments_dagster.core.asset import UNCHANGED, Made, Previous, Unchanged, asset
from videomoments_dagster.core.pools import LANGUAGE_MODEL
from videomoments_dagster.core.resources import LanguageModelsResource
from videomoments_dagster.moments.checks import (
    moments_lie_in_the_video,
    moments_meet_their_config,
    stored_moments,
)
from videomoments_dagster.moments.engine_work import EngineConfig, EngineWork
from videomoments_dagster.moments.finding.outcomes import Found, MomentDraft
from videomoments_dagster.moments.identity import config_hash
from videomoments_dagster.moments.metadata.materialisations import moments_metadata
from videomoments_dagster.moments.page.page_store import page_link
from videomoments_dagster.moments.records import Moments, SelectedConfigs, Video
from videomoments_dagster.moments.soundness import require_word_times
from videomoments_dagster.moments.storage.moment_rows import FINDING, RootMomentRows
from videomoments_dagster.moments.storage.video_rows import DURATION
from videomoments_dagster.moments.system import MOMENTS
from videomoments_dagster.speech.transcripts import Transcript

CODE_VERSION = "3"


@asset(
    MOMENTS,
    RootMomentRows(),
    code_version=CODE_VERSION,
    kinds={"postgres", "python"},
    pool=LANGUAGE_MODEL,
    metadata=lambda stored, transcript, video: moments_metadata(
        stored, transcript=transcript, duration_seconds=video.facts.duration_seconds
    ),
    checks=[moments_lie_in_the_video, moments_meet_their_config],
    stored_check=stored_moments,
    depends_on={"video": DURATION, "generation_config": FINDING},
    after_storing=page_link,
)
def moments(
    context: dg.AssetExecutionContext,
    config: EngineConfig,
    video: Video,
    transcript: Transcript,
    generation_config: SelectedConfigs,
    previous: Previous[Moments],
    language_models: LanguageModelsResource,
) -> Made[Moments] | Unchanged:
    """The stretches of the video that are worth watching, with scores from 0 to 10.

    Reads the transcript and the generation config. Writes rows of 'moments' as a difference: what
    is the same stays, with its clip. A language model is asked window by window, and each answer is
    kept as it comes: what fails is asked for again next time, the rest is not. No speech is no
    failure: there are no moments then, and the metadata says why. If it fails, the message names
    the model, the engine or the setting.
    """
    generation = generation_config.generation
    scoring = generation_config.scoring
    work = EngineWork(context, language_models, previous, config, generation, scoring)
    if work.is_done(CODE_VERSION, video, transcript):
        return UNCHANGED
    require_word_times(transcript, video)
    kept = work.stored_part()
    if kept is not None:
        context.log.info("Keeping the %d moments that were found before.", len(kept.moments))
        found = _found_before(kept)
    else:
        work.check_servers()
        context.log.info("Finding moments with %s.", generation.model)
        found = work.engine.find(
            transcript, duration_seconds=video.facts.duration_seconds, config=generation
        )
    drafts = [work.moment(video, draft, draft.title) for draft in found.drafts]
    result, scored = work.scored(drafts, transcript, video)
    language_models.remove_old_records(MOMENTS.partition(video.identifier))
    if found.why_fewer:
        context.log.warning("%s", found.why_fewer)
    context.log.info("Found %d moments.", len(result))
    return work.made(
        Moments(result, why_fewer=found.why_fewer),
        details={"moments": len(result), "stored_config": config_hash(generation)},
        finding=found.report,
        scoring=scored,
    )


def _found_before(stored: Moments) -> Found:
    """Stored moments as they were found; their scores play no part."""
    return Found(
        drafts=tuple(
            MomentDraft(one.start_time, one.end_time, one.title, strength=0.0)
            for one in stored.moments
        ),
        why_fewer=stored.why_fewer,
    )
