"""The `refined_moments` asset: the same moments with better boundaries."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg

from videomoments_dagster.base.failures import MediaFailed, ObjectMissing
from videomoments_dagster.core.asset import UNCHANGED, Made, Previous, Unchanged, asset
from videomoments_dagster.core.media_files import MediaResource
from videomoments_dagster.core.pools import LANGUAGE_MODEL
from videomoments_dagster.core.progress_log import progress_logged
from videomoments_dagster.core.resources import LanguageModelsResource, ScratchResource
from videomoments_dagster.media.frame_pictures import FrameSamples
from videomoments_dagster.moments.checks import (
    refined_moments_stay_near,
    stored_refined_moments,
)
from videomoments_dagster.moments.engine_work import EngineConfig, EngineWork
from videomoments_dagster.moments.finding.outcomes import Boundaries, Refined, TimeSpan
from videomoments_dagster.moments.finding.snapping import (
    PAUSE_SECONDS,
    REACH_SECONDS,
    Pauses,
    pauses_between_words,
    snap_to_pauses,
)
from videomoments_dagster.moments.identity import video_content
from videomoments_dagster.moments.metadata.materialisations import (
    SNAPPING,
    moments_metadata,
    said_of_shifts,
)
from videomoments_dagster.moments.page.page_store import page_link
from videomoments_dagster.moments.records import Moments, SelectedConfigs, Video
from videomoments_dagster.moments.soundness import (
    boundary_shifts,
    require_places,
    require_word_times,
)
from videomoments_dagster.moments.storage.moment_rows import (
    REFINING,
    TITLES,
    RefinedMomentRows,
)
from videomoments_dagster.moments.storage.video_rows import CONTENT
from videomoments_dagster.moments.system import MOMENTS
from videomoments_dagster.speech.heard_pauses import heard_pauses, listened_to
from videomoments_dagster.speech.transcripts import Transcript

CODE_VERSION = "3"

_AROUND_SECONDS = REACH_SECONDS + 2.0


@asset(
    MOMENTS,
    RefinedMomentRows(),
    code_version=CODE_VERSION,
    kinds={"postgres", "python"},
    pool=LANGUAGE_MODEL,
    metadata=lambda stored, details, moments, transcript, video: moments_metadata(
        stored,
        details=details,
        roots=moments,
        transcript=transcript,
        duration_seconds=video.facts.duration_seconds,
    ),
    checks=[refined_moments_stay_near],
    stored_check=stored_refined_moments,
    depends_on={"video": CONTENT, "generation_config": REFINING, "moments": TITLES},
    after_storing=page_link,
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
    scratch: ScratchResource,
) -> Made[Moments] | Unchanged:
    """Each moment once more, its start and end moved to the best place near them.

    Reads the moments, the transcript, the refinement config and the video's sound. Writes one
    refined row of 'moments' per root moment, never further from it than 'max_shift_seconds'. A
    language model sees the words around a moment and, if it sees pictures, some frames; where its
    answer cannot be used, the root's boundaries stay. Whoever chose them, boundaries are put into
    pauses near them, never into a word, and behind a leading "so" or "and". Clips are cut from the
    root moments unless VIDEOMOMENTS_CLIP_BOUNDARIES says otherwise. If it fails, a result that it
    needs is missing, or a model's server is; the message names the asset or the setting.
    """
    configs, refinement = generation_config, generation_config.refinement
    scoring, max_shift = configs.scoring, configs.max_shift_seconds
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
        refined, facts = _refined_before(kept, moments), previous.details.get(SNAPPING) or {}
    else:
        if moments.moments:
            work.check_servers()
        context.log.info("Refining the moments' boundaries with %s.", refinement.model)
        chosen = work.engine.refine(
            moments.moments,
            transcript,
            config=refinement,
            max_shift_seconds=max_shift,
            duration_seconds=video.facts.duration_seconds,
            frames=FrameSamples(lambda: media.local_file(video.cloud_url), facts=video.facts),
        )
        listener = _Listener(context, video, media, scratch)
        refined, facts = _snapped(chosen, listener, transcript, moments, configs)
    pairs = list(zip(moments.moments, refined.boundaries, strict=True))
    drafts = [work.moment(video, span, root.title, root) for root, span in pairs]
    result, scored = work.scored(drafts, transcript, video)
    value = Moments(result, why_fewer=moments.why_fewer)
    context.log.info("%s", said_of_shifts(boundary_shifts(value, moments)))
    return work.made(
        value,
        details={"refined_moments": len(result), "max_shift_seconds": max_shift, SNAPPING: facts},
        refining=refined.report,
        scoring=scored,
    )


@dataclass(frozen=True, slots=True)
class _Listener:
    """Finds out where in the sound of a video nobody speaks."""

    context: dg.AssetExecutionContext
    video: Video
    media: MediaResource
    scratch: ScratchResource

    def pauses(self, spans: Sequence[TimeSpan]) -> Pauses | None:
        """Those near the boundaries of some moments; None where the sound tells of none."""
        facts, log = self.video.facts, self.context.log
        times = [time for one in spans for time in (one.start_time, one.end_time)]
        around = [(time - _AROUND_SECONDS, time + _AROUND_SECONDS) for time in times]
        stretches = listened_to(around, facts)
        if facts.audio is None or not stretches:
            return None
        try:
            local = self.media.local_stretches(self.video.cloud_url, facts, stretches)
            with progress_logged(self.context, "stretches of sound are listened to") as progress:
                return heard_pauses(
                    local.path,
                    facts,
                    stretches,
                    shortest_seconds=PAUSE_SECONDS,
                    scratch=self.scratch.subfolder("pauses"),
                    progress=progress.count,
                )
        except (MediaFailed, ObjectMissing) as problem:
            log.warning(
                "Pauses are taken from the words, since the sound is not there: %s", problem
            )
            return None


def _snapped(
    chosen: Refined,
    listener: _Listener,
    transcript: Transcript,
    roots: Moments,
    configs: SelectedConfigs,
) -> tuple[Refined, dict[str, Any]]:
    """The boundaries that an engine chose, put into pauses; and what is to be told of it."""
    lasts = listener.video.facts.duration_seconds
    pauses = listener.pauses(chosen.boundaries)
    heard = pauses is not None
    if pauses is None:
        pauses = pauses_between_words(transcript, duration_seconds=lasts)
    snapped = snap_to_pauses(
        chosen.boundaries,
        roots.moments,
        transcript,
        pauses=pauses,
        config=configs.refinement,
        max_shift_seconds=configs.max_shift_seconds,
        duration_seconds=lasts,
    )
    facts = {"pauses_in": "sound" if heard else "words", "openers": snapped.openers}
    return replace(chosen, boundaries=snapped.boundaries), facts


def _refined_before(stored: Moments, roots: Moments) -> Refined:
    """Stored boundaries in the order of their roots; the fingerprint says that each has one."""
    child = {moment.parent_identifier: moment for moment in stored.moments}
    of_roots = (child[root.identifier] for root in roots.moments)
    return Refined(tuple(Boundaries(one.start_time, one.end_time) for one in of_roots))
