"""The `thumbnails` asset: a picture of the video and of each clip."""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

from videomoments_dagster.base.fingerprints import digest, fingerprint
from videomoments_dagster.base.text import clock
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
from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.media.probe import probe_written
from videomoments_dagster.media.small_pictures import exposure_of
from videomoments_dagster.media.thumbnails import make_thumbnail
from videomoments_dagster.moments.checks.result_checks import THUMBNAILS_CHECKS, thumbnails_checks
from videomoments_dagster.moments.metadata.clips_metadata import (
    MOST_TILES,
    SHEET,
    remembered_sheet,
    thumbnails_metadata,
)
from videomoments_dagster.moments.partitions import VIDEOS
from videomoments_dagster.moments.records import (
    Clip,
    Clips,
    MadeThumbnails,
    Thumbnail,
    ThumbnailFile,
    Thumbnails,
    Video,
)
from videomoments_dagster.moments.soundness.files_rules import picture_problem

CODE_VERSION = "2"
SAMPLES = 9
TIMEOUT_SECONDS = 120.0
BLANK = "stored_blank"
"""Name, in what is remembered of a result, of sentences about thumbnails that show nothing."""

NO_PICTURE = "The source has no picture, so there is nothing to show"

_Owner = str | None
"""Root moment of the clip that a thumbnail shows; None for the video's own."""


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
    check_specs=THUMBNAILS_CHECKS,
    description="""A picture of the video and one of each clip, the sharpest and best exposed of \
several frames of its moment.

Reads the video and the clips. Writes JPEG files, at most 640x360 (360x640 upright), and rows of
`thumbnails`. A source without a picture has none, and the metadata says so. If it fails, a picture
could not be decoded, or a clip is missing: materialise `clips` first.""",
)
def thumbnails(
    context: dg.AssetExecutionContext,
    config: MaterialisationConfig,
    video: Video,
    clips: Clips,
    results: StoredResultsResource,
    media: MediaResource,
    scratch: ScratchResource,
) -> dg.MaterializeResult:  # type: ignore[type-arg]  # no other is taken beside checks
    """Make the thumbnails that are missing."""
    with failures_reported(Partition("moments", video.identifier), step="thumbnails"):
        urls: dict[_Owner, str] = {}
        if video.facts.video is not None:
            urls[None] = video.cloud_url
            urls.update({clip.moment_identifier: clip.cloud_url for clip in clips.clips})
        wanted = {owner: _thumbnail_fingerprint(url) for owner, url in urls.items()}
        clip_of = {clip.moment_identifier: clip for clip in clips.clips}

        def make(owner: _Owner) -> ThumbnailFile:
            path = media.local_file(urls[owner])
            facts: MediaFacts = video.facts if owner is None else probe_written(path)
            length = facts.duration_seconds
            start, end = (0.0, length) if owner is None else moment_within(clip_of[owner], length)
            destination = scratch.subfolder("thumbnails") / f"{owner or 'video'}.jpg"
            choice = make_thumbnail(
                path,
                facts,
                start_time=start,
                end_time=end,
                destination=destination,
                samples=SAMPLES,
                timeout_seconds=TIMEOUT_SECONDS,
            )
            return ThumbnailFile(
                clip_of_moment=owner,
                path=choice.path,
                fingerprint=wanted[owner],
                time_seconds=choice.time_seconds,
            )

        def compute() -> Computation[MadeThumbnails]:
            stored: Thumbnails | None = results.value(asset="thumbnails", video=video.identifier)
            kept = tuple(
                thumbnail
                for thumbnail in (stored.thumbnails if stored is not None else ())
                if not config.force
                and thumbnail.clip_of_moment in wanted
                and thumbnail.fingerprint == wanted[thumbnail.clip_of_moment]
                and results.has_object(thumbnail.cloud_url)
            )
            have = {thumbnail.clip_of_moment for thumbnail in kept}
            missing = [owner for owner in wanted if owner not in have]
            with (
                progress_logged(context, "thumbnails are made") as progress,
                ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool,
            ):
                made = tuple(progress.counted(pool.map(make, missing), total=len(missing)))
            context.log.info("Made %d thumbnails and kept %d.", len(made), len(kept))
            blank = _blank(
                made,
                before=results.remembered(asset="thumbnails", video=video.identifier),
                kept={thumbnail.clip_of_moment or "" for thumbnail in kept},
            )
            if not wanted:
                context.log.info("%s.", NO_PICTURE)
            return Computation(
                value=MadeThumbnails(kept=kept, made=made, why_none="" if wanted else NO_PICTURE),
                data_version=digest({owner or "": mark for owner, mark in wanted.items()}),
                details={
                    "thumbnails": len(wanted),
                    "why_none": "" if wanted else NO_PICTURE,
                    BLANK: blank,
                    SHEET: _sheet(video, clips, made, kept, media),
                },
                metadata={"made_now": len(made)},
                checks=thumbnails_checks(list(blank.values())),
            )

        return materialise(
            context,
            results,
            code_version=CODE_VERSION,
            inputs={owner or "": mark for owner, mark in wanted.items()},
            settings={},
            force=config.force,
            compute=compute,
            told=thumbnails_metadata,
            checks_when_unchanged=lambda _, details: thumbnails_checks(
                list(details.get(BLANK, {}).values())
            ),
        )


def moment_within(clip: Clip, length: float) -> tuple[float, float]:
    """Where a clip shows its moment, in seconds of the clip; what is around it is another's."""
    start, end = clip.padding_left, length - clip.padding_right
    return (start, end) if 0 <= start < end else (0.0, length)


def _blank(
    made: tuple[ThumbnailFile, ...], *, before: Mapping[str, Any], kept: set[str]
) -> dict[str, str]:
    """Sentences about thumbnails that show nothing, by whose they are; of kept ones, the old."""
    found = {owner: sentence for owner, sentence in before.get(BLANK, {}).items() if owner in kept}
    for thumbnail in made:
        owner = thumbnail.clip_of_moment
        named = "the video" if owner is None else f"the clip of the moment {owner}"
        sentence = picture_problem(f"the thumbnail of {named}", exposure_of(thumbnail.path))
        if sentence:
            found[owner or ""] = sentence
    return found


def _sheet(
    video: Video,
    clips: Clips,
    made: tuple[ThumbnailFile, ...],
    kept: tuple[Thumbnail, ...],
    media: MediaResource,
) -> dict[str, Any]:
    """The contact sheet: the video's own thumbnail, then those of clips in order of time."""
    files: dict[_Owner, Callable[[], Path]] = {
        one.clip_of_moment: partial(media.local_file, one.cloud_url) for one in kept
    }
    files |= {one.clip_of_moment: partial(Path, one.path) for one in made}
    labels: dict[_Owner, str] = {None: "video"}
    labels |= {
        clip.moment_identifier: clock(clip.start_time + clip.padding_left) for clip in clips.clips
    }
    shown = [owner for owner in labels if owner in files][:MOST_TILES]
    facts = video.facts.video
    return remembered_sheet(
        [(labels[owner], files[owner]()) for owner in shown],
        upright=facts is not None and facts.height > facts.width,
        of=len(files),
    )


def _thumbnail_fingerprint(url: str) -> str:
    return fingerprint(code_version=CODE_VERSION, inputs={"object": url}, settings={})
