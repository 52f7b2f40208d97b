"""Checks of what is stored, rows and objects as they are now, whatever became of them.

Belongs here: one check an asset, all named `stored_result_is_sound`; they read, and mend nothing.
And the job that runs them by themselves: Dagster's UI cannot run partitioned checks without their
asset. Does not belong here: the rules (`videomoments_dagster.moments.soundness`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import dagster as dg

from videomoments_dagster.base.failures import ObjectMissing, ResultMissing, VideoMomentsError
from videomoments_dagster.core.dagster_failures import RETRY_OUTSIDE, failures_reported
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.pools import ENCODING
from videomoments_dagster.core.resources.media_resource import MediaResource
from videomoments_dagster.core.resources.object_store_resource import ObjectStoreResource
from videomoments_dagster.core.resources.stored_results_resource import StoredResultsResource
from videomoments_dagster.core.storage import missing_result
from videomoments_dagster.media.probe import probe
from videomoments_dagster.media.small_pictures import exposure_of
from videomoments_dagster.moments.checks.check_outcome import ERROR, outcome, previews_accepted
from videomoments_dagster.moments.partitions import VIDEOS
from videomoments_dagster.moments.records import Clips, Moments, SelectedConfigs, Thumbnails, Video
from videomoments_dagster.moments.soundness.files_rules import (
    clip_problems,
    picture_problem,
    size_problems,
)
from videomoments_dagster.moments.soundness.moments_rules import (
    config_problems,
    moments_without_clip,
    overlap_problems,
    place_problems,
    refinement_problems,
)
from videomoments_dagster.moments.soundness.transcripts_rules import word_time_problems
from videomoments_dagster.speech.transcript import Transcript

NAME = "stored_result_is_sound"
JOB_NAME = "check_stored_results"

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored of one video.

    Attributes:
        identifier: The video.
        results: Rows.
        object_store: Objects.
        media: Objects as files.
    """

    identifier: str
    results: StoredResultsResource
    object_store: ObjectStoreResource
    media: MediaResource

    def value(self, kind: type[Value], asset: str) -> Value:
        """What is stored of an asset.

        Raises:
            ResultMissing: If it was never materialised.
        """
        value = self.results.value(asset=asset, video=self.identifier)
        if not isinstance(value, kind):
            raise missing_result(video=self.identifier, asset=asset, step=NAME)
        return value

    @property
    def video(self) -> Video:
        """The row of the video."""
        return self.value(Video, "video")

    def file(self, url: str) -> tuple[Path | None, str]:
        """A stored object as a local file, or a sentence that it is gone."""
        try:
            return self.media.local_file(url), ""
        except ObjectMissing:
            return None, f"the file {url} is gone"


Found = tuple[list[str], str]
"""Sentences about what does not hold, and one for where all does."""


def _video(stored: Stored) -> Found:

    video = stored.video
    found = stored.object_store.store.stat(video.cloud_url)
    if found is None:
        return [f"the file {video.cloud_url} is gone"], ""
    problems = size_problems(
        video.cloud_url,
        found_bytes=found.size_bytes,
        expected_kibibytes=-(-video.facts.size_bytes // 1024),
    )
    return list(problems), "The stored file is there, as large as it was."


def _transcript(stored: Stored) -> Found:

    transcript = stored.value(Transcript, "transcript")
    duration = stored.video.facts.duration_seconds
    problems = word_time_problems(transcript, duration_seconds=duration)
    return list(problems), f"All {len(transcript.words)} words follow each other inside the video."


def _moments(stored: Stored) -> Found:

    moments = stored.value(Moments, "moments")
    config = stored.value(SelectedConfigs, "generation_config").generation
    problems = [
        *place_problems(moments.moments, duration_seconds=stored.video.facts.duration_seconds),
        *overlap_problems(moments.moments),
        *config_problems(moments, config),
    ]
    return problems, f"All {len(moments.moments)} moments are in order."


def _refined_moments(stored: Stored) -> Found:

    refined = stored.value(Moments, "refined_moments")
    roots = stored.value(Moments, "moments")
    problems = [
        *refinement_problems(refined, roots, stored.value(SelectedConfigs, "generation_config")),
        *place_problems(refined.moments, duration_seconds=stored.video.facts.duration_seconds),
    ]
    return problems, f"All {len(refined.moments)} refined moments are in order."


def _clips(stored: Stored) -> Found:

    video, clips = stored.video, stored.value(Clips, "clips")
    problems = [
        f"the moment {moment.identifier} has no clip"
        for moment in moments_without_clip(stored.value(Moments, "moments"), clips.clips)
    ]
    for clip in clips.clips:
        path, gone = stored.file(clip.cloud_url)
        if path is None:
            problems.append(gone)
            continue
        try:
            found = probe(path)
        except VideoMomentsError as broken:
            problems.append(f"the clip {clip.cloud_url} cannot be opened: {broken.reason}")
            continue
        problems += size_problems(
            clip.cloud_url, found_bytes=found.size_bytes, expected_kibibytes=clip.file_size_kb
        )
        problems += clip_problems(clip, found, source=video)
    return problems, f"All {len(clips.clips)} clips open, and are complete."


def _thumbnails(stored: Stored) -> Found:

    thumbnails = stored.value(Thumbnails, "thumbnails")
    problems = []
    for thumbnail in thumbnails.thumbnails:
        path, problem = stored.file(thumbnail.cloud_url)
        if path is not None:
            named = f"the thumbnail {thumbnail.cloud_url}"
            try:
                problem = picture_problem(named, exposure_of(path))
            except OSError:
                problem = f"{named} cannot be opened"
        if problem:
            problems.append(problem)
    return problems, f"All {len(thumbnails.thumbnails)} thumbnails open, and show something."


_RULES: dict[str, tuple[Callable[[Stored], Found], str]] = {
    "video": (
        _video,
        (
            "The stored file is there, as large as its row says. Reads the row and asks the "
            "object store; writes nothing. If it fails, remove the file if it is broken, then "
            "materialise `video` again; the source has to be there still."
        ),
    ),
    "transcript": (
        _transcript,
        (
            "Stored words follow each other and lie inside the video. Reads rows only; writes "
            "nothing. If it fails, somebody changed the row, or the video was replaced: "
            "materialise `transcript` again."
        ),
    ),
    "moments": (
        _moments,
        (
            "Stored moments lie inside the video, overlap no other, and meet the stored config. "
            "Reads rows only; writes nothing. If it fails, somebody changed rows, or the config "
            "was replaced since: materialise `moments` again."
        ),
    ),
    "refined_moments": (
        _refined_moments,
        (
            "Each stored moment has one refined moment, no further from it than the stored "
            "config allows. Reads rows only; writes nothing. If it fails, rows were changed, or "
            "`moments` was materialised since: materialise `refined_moments` again."
        ),
    ),
    "clips": (
        _clips,
        (
            "Every moment has a clip that opens, is as long as its row says, and has picture "
            "and sound as the video has. Reads rows, and probes each object; writes nothing. If "
            "it fails, remove the file if it is broken, then materialise `clips` again: only "
            "what is missing is cut."
        ),
    ),
    "thumbnails": (
        _thumbnails,
        (
            "Every stored thumbnail opens and shows something: none is black, white or blank. "
            "Reads rows and each object; writes nothing. If it fails, remove the file if it is "
            "broken, then materialise `thumbnails` again; one that stays black is of a video "
            "that is black there."
        ),
    ),
}


_ASSETS_WITH_FILES = frozenset({"video", "clips", "thumbnails"})
_REMEDY_OF_ROWS = "Materialise '{}' for this video again, with `force`"
_REMEDY_OF_FILES = (
    # Nothing overwrites an object.
    "Remove the file if it is broken, then materialise '{}' for this video again"
)


def _result(asset: str, stored: Stored) -> dg.AssetCheckResult:
    problems, holds = _RULES[asset][0](stored)
    return outcome(
        problems,
        severity=ERROR,
        holds=holds,
        remedy=_REMEDY_OF_FILES.format(asset)
        if asset in _ASSETS_WITH_FILES
        else _REMEDY_OF_ROWS.format(asset),
    )


def _stored_check(asset: str, *, description: str, pool: str | None) -> dg.AssetChecksDefinition:
    def check(
        context: dg.AssetCheckExecutionContext,
        results: StoredResultsResource,
        object_store: ObjectStoreResource,
        media: MediaResource,
    ) -> dg.AssetCheckResult:
        if not context.op_execution_context.has_partition_key:
            raise dg.Failure(
                description="This check is about one video, and the run has none. Run the job "
                f"`{JOB_NAME}` for a partition instead.",
                allow_retries=False,
            )
        video = context.partition_key
        with failures_reported(Partition("moments", video), step=f"{NAME} of {asset}"):
            return _result(asset, Stored(video, results, object_store, media))

    with previews_accepted():
        return dg.asset_check(
            asset=asset,
            name=NAME,
            description=description,
            partitions_def=VIDEOS,
            retry_policy=RETRY_OUTSIDE,
            pool=pool,
        )(check)


STORED_CHECKS = [
    _stored_check(
        asset,
        description=description,
        pool=ENCODING if asset in ("clips", "thumbnails") else None,
    )
    for asset, (_, description) in _RULES.items()
]


@dg.op(
    name="look_at_stored_results",
    pool=ENCODING,
    retry_policy=RETRY_OUTSIDE,
    description="Looks at everything that is stored of one video, and notes a result of "
    f"`{NAME}` with each asset. Reads rows and objects, and writes nothing. A check that fails "
    "says what to materialise again; the run itself fails only where it could not look.",
)
def _look(
    context: dg.OpExecutionContext,
    results: StoredResultsResource,
    object_store: ObjectStoreResource,
    media: MediaResource,
) -> None:
    video = context.partition_key
    stored = Stored(video, results, object_store, media)
    for asset in _RULES:
        with failures_reported(Partition("moments", video), step=f"{NAME} of {asset}"):
            result = _result_if_stored(asset, stored)
        if result is None:
            context.log.info("The asset '%s' is not materialised.", asset)
            continue
        (context.log.info if result.passed else context.log.error)(
            "%s: %s", asset, result.description
        )
        context.log_event(
            # Dagster takes these and says otherwise in its annotation.
            dg.AssetCheckEvaluation(  # type: ignore[arg-type]
                asset_key=dg.AssetKey(asset),
                check_name=NAME,
                passed=result.passed,
                severity=result.severity,
                description=result.description,
                metadata=result.metadata,
                blocking=False,
                partition=video,
            )
        )


def _result_if_stored(asset: str, stored: Stored) -> dg.AssetCheckResult | None:
    if stored.results.value(asset=asset, video=stored.identifier) is None:
        return None
    try:
        return _result(asset, stored)
    except ResultMissing as missing:
        # An asset upstream of it, which its rules need.
        return outcome(
            [missing.reason], severity=ERROR, holds="", remedy=missing.remedy or "Materialise it"
        )


@dg.job(
    name=JOB_NAME,
    partitions_def=VIDEOS,
    executor_def=dg.in_process_executor,
    description="""Checks what is stored of a video, without materialising anything.

Reads the rows and objects of all its assets: files that are gone, clips that do not open, rows that
somebody changed. Writes nothing but the results of the checks, which are shown with the assets. If
a check fails, its sentence says which asset to materialise again. If it fails itself, it could not
look: the message says why, and it can be run again.""",
)
def _job() -> None:
    _look()


CHECK_STORED_RESULTS = _job
