"""Checks of what is stored, rows and objects as they are now, whatever became of them.

Belongs here: one check an asset, all named `stored_result_is_sound`; they read, and mend nothing.
Does not belong here: the rules (`videomoments_dagster.soundness`).
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg

from videomoments_dagster.defs.checks.outcome import ERROR, outcome
from videomoments_dagster.defs.pools import ENCODING
from videomoments_dagster.defs.reporting import RETRY_OUTSIDE, failures_reported
from videomoments_dagster.failures import ObjectMissing, VideoMomentsError
from videomoments_dagster.io_managers.stored_asset import missing_result
from videomoments_dagster.media.probe import probe
from videomoments_dagster.media.small_pictures import exposure_of
from videomoments_dagster.partitions import VIDEOS
from videomoments_dagster.records import (
    Clips,
    Moments,
    SelectedConfigs,
    Thumbnails,
    Transcript,
    Video,
)
from videomoments_dagster.resources.media import MediaResource
from videomoments_dagster.resources.object_store import ObjectStoreResource
from videomoments_dagster.resources.stored_results import StoredResultsResource
from videomoments_dagster.soundness.files import clip_problems, picture_problem, size_problems
from videomoments_dagster.soundness.moments import (
    config_problems,
    moments_without_clip,
    overlap_problems,
    place_problems,
    refinement_problems,
)
from videomoments_dagster.soundness.transcripts import word_time_problems

NAME = "stored_result_is_sound"

Value = TypeVar("Value")
Function = TypeVar("Function", bound=Callable[..., Any])


def _stored_check(
    asset: str, *, description: str, pool: str | None = None
) -> Callable[[Function], dg.AssetChecksDefinition]:
    """The decorator of a check that has a result for each video, and reads what is stored."""

    def decorated(function: Function) -> dg.AssetChecksDefinition:
        with warnings.catch_warnings():
            # Whoever starts this project can do nothing about Dagster calling them a preview.
            warnings.simplefilter("ignore", dg.PreviewWarning)
            return dg.asset_check(
                asset=asset,
                name=NAME,
                description=" ".join(description.split()),
                partitions_def=VIDEOS,
                retry_policy=RETRY_OUTSIDE,
                pool=pool,
            )(function)

    return decorated


@contextmanager
def _reported(context: dg.AssetCheckExecutionContext, asset: str) -> Iterator[str]:
    """Give the video; failures name it and the check."""
    video = context.partition_key
    with failures_reported(video=video, step=f"{NAME} of {asset}"):
        yield video


def _stored(results: StoredResultsResource, kind: type[Value], *, asset: str, video: str) -> Value:
    """What is stored of an asset.

    Raises:
        ResultMissing: If it was never materialised.
    """
    value = results.value(asset=asset, video=video)
    if not isinstance(value, kind):
        raise missing_result(video=video, asset=asset, step=NAME)
    return value


def _outcome(asset: str, problems: list[str], holds: str) -> dg.AssetCheckResult:
    return outcome(
        problems,
        severity=ERROR,
        holds=holds,
        remedy=f"Materialise '{asset}' for this video again, with `force` if it says that nothing "
        "changed",
    )


@_stored_check(
    "video",
    description="""The stored file is there, as large as its row says. Reads the row and asks the
    object store; writes nothing. If it fails, materialise `video` again with `force`; the source
    has to be there still.""",
)
def stored_video_is_sound(
    context: dg.AssetCheckExecutionContext,
    results: StoredResultsResource,
    object_store: ObjectStoreResource,
) -> dg.AssetCheckResult:
    """Look at the stored file's size."""
    with _reported(context, "video") as identifier:
        video = _stored(results, Video, asset="video", video=identifier)
        found = object_store.store.stat(video.cloud_url)
        if found is None:
            problems = [f"the file {video.cloud_url} is gone"]
        else:
            problems = list(
                size_problems(
                    video.cloud_url,
                    found_bytes=found.size_bytes,
                    expected_kibibytes=-(-video.facts.size_bytes // 1024),
                )
            )
        return _outcome("video", problems, "The stored file is there, as large as it was.")


@_stored_check(
    "transcript",
    description="""Stored words follow each other and lie inside the video. Reads rows only; writes
    nothing. If it fails, somebody changed the row, or the video was replaced: materialise
    `transcript` again.""",
)
def stored_transcript_is_sound(
    context: dg.AssetCheckExecutionContext, results: StoredResultsResource
) -> dg.AssetCheckResult:
    """Look at the stored words' times."""
    with _reported(context, "transcript") as identifier:
        video = _stored(results, Video, asset="video", video=identifier)
        transcript = _stored(results, Transcript, asset="transcript", video=identifier)
        problems = word_time_problems(transcript, duration_seconds=video.facts.duration_seconds)
        return _outcome(
            "transcript",
            list(problems),
            f"All {len(transcript.words)} words follow each other inside the video.",
        )


@_stored_check(
    "moments",
    description="""Stored moments lie inside the video, overlap no other, and meet the stored
    config. Reads rows only; writes nothing. If it fails, somebody changed rows, or the config was
    replaced since: materialise `moments` again.""",
)
def stored_moments_are_sound(
    context: dg.AssetCheckExecutionContext, results: StoredResultsResource
) -> dg.AssetCheckResult:
    """Look at the stored moments' times."""
    with _reported(context, "moments") as identifier:
        video = _stored(results, Video, asset="video", video=identifier)
        configs = _stored(results, SelectedConfigs, asset="generation_config", video=identifier)
        moments = _stored(results, Moments, asset="moments", video=identifier)
        problems = [
            *place_problems(moments.moments, duration_seconds=video.facts.duration_seconds),
            *overlap_problems(moments.moments),
            *config_problems(moments, configs.generation),
        ]
        return _outcome("moments", problems, f"All {len(moments.moments)} moments are in order.")


@_stored_check(
    "refined_moments",
    description="""Each stored moment has one refined moment, no further from it than the stored
    config allows. Reads rows only; writes nothing. If it fails, rows were changed, or `moments`
    was materialised since: materialise `refined_moments` again.""",
)
def stored_refined_moments_are_sound(
    context: dg.AssetCheckExecutionContext, results: StoredResultsResource
) -> dg.AssetCheckResult:
    """Look at the stored refined moments beside their roots."""
    with _reported(context, "refined_moments") as identifier:
        video = _stored(results, Video, asset="video", video=identifier)
        configs = _stored(results, SelectedConfigs, asset="generation_config", video=identifier)
        roots = _stored(results, Moments, asset="moments", video=identifier)
        refined = _stored(results, Moments, asset="refined_moments", video=identifier)
        problems = [
            *refinement_problems(refined, roots, configs),
            *place_problems(refined.moments, duration_seconds=video.facts.duration_seconds),
        ]
        return _outcome(
            "refined_moments", problems, f"All {len(refined.moments)} refined moments are in order."
        )


@_stored_check(
    "clips",
    pool=ENCODING,
    description="""Every moment has a clip that opens, is as long as its row says, and has picture
    and sound as the video has. Reads rows, and probes each object; writes nothing, and decodes a
    few frames only. If it fails, materialise `clips` again: what is missing is cut again, and with
    `force` what is broken.""",
)
def stored_clips_are_sound(
    context: dg.AssetCheckExecutionContext, results: StoredResultsResource, media: MediaResource
) -> dg.AssetCheckResult:
    """Open every stored clip."""
    with _reported(context, "clips") as identifier:
        video = _stored(results, Video, asset="video", video=identifier)
        moments = _stored(results, Moments, asset="moments", video=identifier)
        clips = _stored(results, Clips, asset="clips", video=identifier)
        problems = [
            f"the moment {moment.identifier} has no clip"
            for moment in moments_without_clip(moments, clips.clips)
        ]
        for clip in clips.clips:
            path, problem = _opened(media, clip.cloud_url)
            if path is None:
                problems.append(problem)
                continue
            try:
                found = probe(path)
            except VideoMomentsError as broken:
                problems.append(f"the clip {clip.cloud_url} cannot be opened: {broken.reason}")
                continue
            problems += size_problems(
                clip.cloud_url,
                found_bytes=found.size_bytes,
                expected_kibibytes=clip.file_size_kb,
            )
            problems += clip_problems(clip, found, source=video)
        return _outcome("clips", problems, f"All {len(clips.clips)} clips open, and are complete.")


@_stored_check(
    "thumbnails",
    pool=ENCODING,
    description="""Every stored thumbnail opens and shows something: none is black, white or blank.
    Reads rows and each object; writes nothing. If it fails, materialise `thumbnails` again, with
    `force` for a broken picture; a picture that stays black is of a video that is black there.""",
)
def stored_thumbnails_are_sound(
    context: dg.AssetCheckExecutionContext, results: StoredResultsResource, media: MediaResource
) -> dg.AssetCheckResult:
    """Open every stored thumbnail."""
    with _reported(context, "thumbnails") as identifier:
        thumbnails = _stored(results, Thumbnails, asset="thumbnails", video=identifier)
        problems = []
        for thumbnail in thumbnails.thumbnails:
            path, problem = _opened(media, thumbnail.cloud_url)
            if path is not None:
                named = f"the thumbnail {thumbnail.cloud_url}"
                try:
                    problem = picture_problem(named, exposure_of(path))
                except OSError:
                    problem = f"{named} cannot be opened"
            if problem:
                problems.append(problem)
        return _outcome(
            "thumbnails", problems, f"All {len(thumbnails.thumbnails)} thumbnails open."
        )


def _opened(media: MediaResource, url: str) -> tuple[Path | None, str]:
    """A stored object as a local file, or a sentence that it is gone."""
    try:
        return media.local_file(url), ""
    except ObjectMissing:
        return None, f"the file {url} is gone"


STORED_CHECKS = [
    stored_video_is_sound,
    stored_transcript_is_sound,
    stored_moments_are_sound,
    stored_refined_moments_are_sound,
    stored_clips_are_sound,
    stored_thumbnails_are_sound,
]
