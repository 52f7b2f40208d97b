"""The `clips` asset: an MP4 per root moment, frame-exact."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from videomoments_dagster.base.failures import MediaFailed, VideoMomentsError
from videomoments_dagster.base.fingerprints import digest, fingerprint
from videomoments_dagster.core.asset import (
    GROUP,
    OWNERS,
    Computation,
    MaterialisationConfig,
    materialise,
)
from videomoments_dagster.core.dagster_failures import RETRY_OUTSIDE, failures_reported
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.pools import ENCODING
from videomoments_dagster.core.progress_log import progress_logged
from videomoments_dagster.core.resources.media_resource import MediaResource
from videomoments_dagster.core.resources.scratch_resource import ScratchResource
from videomoments_dagster.core.resources.stored_results_resource import StoredResultsResource
from videomoments_dagster.media.clip_cutting import ClipRequest, CutClip, cut_clips
from videomoments_dagster.media.clip_window import ClipWindow, clip_window
from videomoments_dagster.moments.checks.required import require_places
from videomoments_dagster.moments.checks.result_checks import (
    CLIPS_CHECKS,
    clips_check,
    clips_checks,
)
from videomoments_dagster.moments.metadata.clips_metadata import clips_metadata, failures_table
from videomoments_dagster.moments.partitions import VIDEOS
from videomoments_dagster.moments.records import (
    ClipFailure,
    ClipFile,
    Clips,
    CutClips,
    Moment,
    Moments,
    Video,
)
from videomoments_dagster.moments.resources.clip_settings_resource import ClipSettingsResource

CODE_VERSION = "1"


class ClipsConfig(MaterialisationConfig):
    """Run config of `clips`; what is not given here is the installation's setting."""

    padding_left: float | None = Field(
        default=None, description="Seconds shown before the moment.", ge=0, le=3600
    )
    padding_right: float | None = Field(
        default=None, description="Seconds shown after the moment.", ge=0, le=3600
    )
    method: str | None = Field(
        default=None,
        description="`copy` (never re-encode), `encode` (always), or `auto`.",
        pattern="^(auto|copy|encode)$",
    )


@dg.asset(
    partitions_def=VIDEOS,
    group_name=GROUP,
    pool=ENCODING,
    owners=OWNERS,
    kinds={"ffmpeg", "postgres", "storage"},
    code_version=CODE_VERSION,
    retry_policy=RETRY_OUTSIDE,
    # Beside checks, Dagster takes a MaterializeResult to have no value unless it is told.
    dagster_type=dg.Any,
    check_specs=CLIPS_CHECKS,
    description="""A clip of each moment, with some seconds before and after it.

Reads the video and the root moments. Writes MP4 files to the object store and rows of `clips`;
cuts only what is missing or was cut with other settings. Clips are copied without re-encoding
where the codecs allow, and each proves itself: right first frame, right length, sound in step.
Where only some can be cut, those are kept and a check warns; materialise again to try the rest. If
it fails, none could be cut, and the message says why.""",
)
def clips(
    context: dg.AssetExecutionContext,
    config: ClipsConfig,
    video: Video,
    moments: Moments,
    results: StoredResultsResource,
    clip_settings: ClipSettingsResource,
    media: MediaResource,
    scratch: ScratchResource,
) -> dg.MaterializeResult:  # type: ignore[type-arg]  # no other is taken beside checks
    """Cut the clips that are missing."""
    settings = clip_settings.chosen(
        padding_left=config.padding_left,
        padding_right=config.padding_right,
        method=config.method,
    )
    with failures_reported(Partition("moments", video.identifier), step="clips"):
        require_places(moments, asset="moments", duration_seconds=video.facts.duration_seconds)
        wanted = {
            moment.identifier: (
                window := clip_window(
                    moment.start_time,
                    moment.end_time,
                    padding_left=settings.padding_left,
                    padding_right=settings.padding_right,
                    duration=video.facts.duration_seconds,
                ),
                _clip_fingerprint(video, window, method=settings.method),
            )
            for moment in moments.moments
        }

        def compute() -> Computation[CutClips]:
            stored: Clips | None = results.value(asset="clips", video=video.identifier)
            kept = tuple(
                clip
                for clip in (stored.clips if stored is not None else ())
                if not config.force
                and clip.moment_identifier in wanted
                and clip.fingerprint == wanted[clip.moment_identifier][1]
                and results.has_object(clip.cloud_url)
            )
            missing = [
                moment
                for moment in moments.moments
                if moment.identifier not in {clip.moment_identifier for clip in kept}
            ]
            cut, failures = _cut(context, video, missing, wanted, settings.method, media, scratch)
            for failure in failures:
                context.log.error(
                    "There is no clip for moment %s: %s.", failure.moment_identifier, failure.reason
                )
            if failures and not cut and not kept:
                raise MediaFailed(
                    f"none of the {len(failures)} clips could be cut; the first: "
                    f"{failures[0].reason}"
                )
            result = CutClips(kept=kept, cut=cut, failures=failures)
            everything = {
                **{clip.moment_identifier: clip.fingerprint for clip in kept},
                **{clip.moment_identifier: clip.fingerprint for clip in cut},
            }
            return Computation(
                value=result,
                data_version=digest(everything),
                details={
                    "clips": len(everything),
                    "failed": len(failures),
                    "why_none": moments.why_fewer if not everything else "",
                },
                metadata={
                    "cut_now": len(cut),
                    **({"failures": failures_table(failures)} if failures else {}),
                },
                complete=not failures,
                checks=(
                    clips_check(
                        moments,
                        [one for one in moments.moments if one.identifier not in everything],
                    ),
                ),
            )

        return materialise(
            context,
            results,
            code_version=CODE_VERSION,
            inputs={identifier: made_from for identifier, (_, made_from) in wanted.items()},
            settings={},
            force=config.force,
            compute=compute,
            told=lambda stored, _: clips_metadata(stored, moments=moments),
            checks_when_unchanged=lambda stored, _: clips_checks(moments, stored.clips),
        )


def _clip_fingerprint(video: Video, window: "ClipWindow", *, method: str) -> str:
    return fingerprint(
        code_version=CODE_VERSION,
        inputs={
            "video": video.content_hash,
            "start_time": window.start_time,
            "end_time": window.end_time,
        },
        settings={"method": method},
    )


def _cut(
    context: dg.AssetExecutionContext,
    video: Video,
    missing: list[Moment],
    wanted: "Mapping[str, tuple[ClipWindow, str]]",
    method: Any,
    media: MediaResource,
    scratch: ScratchResource,
) -> tuple[tuple[ClipFile, ...], tuple[ClipFailure, ...]]:
    """Cut several at once; one that fails does not stop the others."""
    if not missing:
        return (), ()
    folder = scratch.subfolder("clips")

    def cut_from(
        source: Path, moments: list[Moment], *, say: str
    ) -> "list[CutClip | VideoMomentsError]":
        done = 0

        def on_done(_index: int, _outcome: object) -> None:
            nonlocal done
            done += 1
            progress.count(done, len(moments))

        with progress_logged(context, "clips are cut") as progress:
            progress.count(done, len(moments))
            outcomes = cut_clips(
                [
                    ClipRequest(
                        source=source,
                        facts=video.facts,
                        start_time=wanted[moment.identifier][0].start_time,
                        end_time=wanted[moment.identifier][0].end_time,
                        destination=folder / f"{moment.identifier}.mp4",
                        method=method,
                    )
                    for moment in moments
                ],
                on_done=on_done,
            )
        cut = sum(isinstance(outcome, CutClip) for outcome in outcomes)
        context.log.info(say, cut, len(moments))
        return outcomes

    windows = [wanted[moment.identifier][0] for moment in missing]
    context.log.info("Cutting %d clips.", len(missing))
    with progress_logged(context, "of the video are fetched"):
        local = media.local_stretches(
            video.cloud_url, video.facts, [(one.start_time, one.end_time) for one in windows]
        )
    outcomes = cut_from(local.path, missing, say="Cut %d of %d clips.")
    again = [n for n, outcome in enumerate(outcomes) if not isinstance(outcome, CutClip)]
    if again and not local.is_whole:
        # A file may keep something elsewhere than its index says; the whole of it settles that.
        whole = media.local_file(video.cloud_url)
        retried = cut_from(
            whole, [missing[n] for n in again], say="Cut %d of %d clips from the whole video."
        )
        for number, outcome in zip(again, retried, strict=True):
            outcomes[number] = outcome
    cut: list[ClipFile] = []
    failures: list[ClipFailure] = []
    for moment, outcome in zip(missing, outcomes, strict=True):
        window, made_from = wanted[moment.identifier]
        if isinstance(outcome, CutClip):
            cut.append(
                ClipFile(
                    moment_identifier=moment.identifier,
                    path=outcome.path,
                    start_time=window.start_time,
                    end_time=window.end_time,
                    padding_left=window.padding_left,
                    padding_right=window.padding_right,
                    method=outcome.method,
                    facts=outcome.facts,
                    fingerprint=made_from,
                )
            )
        else:
            failures.append(ClipFailure(moment_identifier=moment.identifier, reason=outcome.reason))
    return tuple(cut), tuple(failures)
