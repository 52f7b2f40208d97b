"""The `moments` asset: the stretches worth watching, scored."""

import dagster as dg

from videomoments_dagster.base.fingerprints import fingerprint
from videomoments_dagster.core.asset import GROUP, OWNERS, Computation, materialise
from videomoments_dagster.core.dagster_failures import RETRY_OUTSIDE, failures_reported
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.pools import LANGUAGE_MODEL
from videomoments_dagster.core.resources.language_models_resource import LanguageModelsResource
from videomoments_dagster.core.resources.stored_results_resource import StoredResultsResource
from videomoments_dagster.moments.checks.required import require_word_times
from videomoments_dagster.moments.checks.result_checks import MOMENTS_CHECKS, moments_checks
from videomoments_dagster.moments.finding.outcomes import Found, MomentDraft
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
    check_specs=MOMENTS_CHECKS,
    description="""The stretches of the video that are worth watching, with scores from 0 to 10.

Reads the transcript and the generation config. Writes rows of `moments` as a difference: what is
the same stays, with its clip. A language model is asked window by window, and each answer is kept
as it comes: what fails is asked for again next time, the rest is not. No speech is no failure:
there are no moments then, and the metadata says why. If it fails, the message names the model,
the engine or the setting.""",
)
def moments(
    context: dg.AssetExecutionContext,
    config: MomentWorkConfig,
    video: Video,
    transcript: Transcript,
    generation_config: SelectedConfigs,
    results: StoredResultsResource,
    language_models: LanguageModelsResource,
) -> dg.MaterializeResult:  # type: ignore[type-arg]  # no other is taken beside checks
    """Find moments, then score them in a pass of its own."""
    generation, scoring = generation_config.generation, generation_config.scoring
    duration = video.facts.duration_seconds
    with failures_reported(Partition("moments", video.identifier), step="moments"):
        finder = engine_for(context, language_models, generation.model, ask_again=config.force)
        scorer = engine_for(
            context, language_models, scoring.model, ask_again=config.force or config.rescore
        )
        inputs = {
            "transcript": transcript_version(transcript),
            "config": config_hash(generation),
            "duration_seconds": duration,
        }
        part = fingerprint(
            code_version=CODE_VERSION, inputs=inputs, settings={"engine_version": finder.version}
        )

        def find() -> "Found":
            kept = stored_part(results, asset="moments", video=video.identifier, fingerprint=part)
            if kept is not None and not config.force:
                count = len(kept.moments)
                context.log.info("Keeping the %d moments that were found before.", count)
                return _found_before(kept)
            language_models.check_servers((generation.model, scoring.model))
            context.log.info("Finding moments with %s.", generation.model)
            return finder.find(transcript, duration_seconds=duration, config=generation)

        def compute() -> Computation[Moments]:
            require_word_times(transcript, duration_seconds=duration)
            before = results.value(asset="moments", video=video.identifier)
            found = find()
            scored = scorer.score(
                found.drafts, transcript, duration_seconds=duration, config=scoring
            )
            result = Moments(
                moments=with_scores(
                    [
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
                        )
                        for draft in found.drafts
                    ],
                    scored,
                    scoring_model=scorer.name,
                    before=before,
                    anew=config.rescore or config.force,
                ),
                why_fewer=found.why_fewer,
            )
            language_models.remove_old_records(video.identifier)
            if found.why_fewer:
                context.log.warning("%s", found.why_fewer)
            context.log.info("Found %d moments.", len(result.moments))
            return Computation(
                value=result,
                data_version=moments_version(result),
                details={
                    "moments": len(result.moments),
                    "why_fewer": result.why_fewer,
                    "model": generation.model,
                    "scoring_model": scoring.model,
                    "stored_config": config_hash(generation),
                    PART_KEY: "" if found.report.failures else part,
                },
                metadata=account(context, {"finding": found.report, "scoring": scored.report}),
                complete=not (found.report.failures or scored.report.failures),
                checks=moments_checks(result, generation_config, duration_seconds=duration),
            )

        return materialise(
            context,
            results,
            code_version=CODE_VERSION,
            inputs={**inputs, "scoring": scoring_version(scoring)},
            settings={"engine_version": finder.version, "scoring_version": scorer.version},
            force=config.force or config.rescore,
            compute=compute,
            told=lambda stored, _: moments_metadata(
                stored, transcript=transcript, duration_seconds=duration
            ),
            checks_when_unchanged=lambda stored, _: moments_checks(
                stored, generation_config, duration_seconds=duration
            ),
        )


def _found_before(stored: Moments) -> "Found":
    """Stored moments as they were found; their scores play no part."""
    return Found(
        drafts=tuple(
            MomentDraft(
                start_time=moment.start_time,
                end_time=moment.end_time,
                title=moment.title,
                strength=0.0,
            )
            for moment in stored.moments
        ),
        why_fewer=stored.why_fewer,
    )
