"""The `thumbnails` asset: a picture of the video and of each clip."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from videomoments_dagster.base.failures import MediaFailed
from videomoments_dagster.base.fingerprints import digest, fingerprint
from videomoments_dagster.base.text import clock
from videomoments_dagster.base.workers import available_cores, worker_threads
from videomoments_dagster.core.asset import (
    UNCHANGED,
    Made,
    Previous,
    Unchanged,
    asset,
)
from videomoments_dagster.core.media_files import MediaResource
from videomoments_dagster.core.pools import ENCODING
from videomoments_dagster.core.progress_log import progress_logged
from videomoments_dagster.core.resources import ScratchResource
from videomoments_dagster.core.run_tags import FAILED_PARTS_KEY
from videomoments_dagster.media.frame_pictures import make_thumbnail
from videomoments_dagster.media.probe import probe_written
from videomoments_dagster.media.stills import exposure_of
from videomoments_dagster.moments.checks import (
    BLANK,
    MISSING,
    stored_thumbnails,
    thumbnails_show_something,
)
from videomoments_dagster.moments.metadata.materialisations import (
    MOST_TILES,
    SHEET,
    remembered_sheet,
    thumbnails_metadata,
)
from videomoments_dagster.moments.page.page_store import page_link
from videomoments_dagster.moments.records import (
    Clip,
    Clips,
    MadeThumbnails,
    Thumbnail,
    ThumbnailFailure,
    ThumbnailFile,
    Thumbnails,
    Video,
)
from videomoments_dagster.moments.soundness import picture_problem
from videomoments_dagster.moments.storage.clip_rows import ThumbnailRows
from videomoments_dagster.moments.storage.video_rows import ADDRESS
from videomoments_dagster.moments.system import MOMENTS

CODE_VERSION = "2"
SAMPLES = 9
TIMEOUT_SECONDS = 120.0

NO_PICTURE = "The source has no picture, so there is nothing to show"

_Owner = str | None
"""Root moment of the clip that a thumbnail shows; None for the video's own."""


@asset(
    MOMENTS,
    ThumbnailRows(),
    code_version=CODE_VERSION,
    kinds={"ffmpeg", "postgres", "storage"},
    pool=ENCODING,
    metadata=thumbnails_metadata,
    checks=[thumbnails_show_something],
    stored_check=stored_thumbnails,
    depends_on={"video": ADDRESS},
    after_storing=page_link,
)
def thumbnails(
    context: dg.AssetExecutionContext,
    video: Video,
    clips: Clips,
    previous: Previous[Thumbnails],
    media: MediaResource,
    scratch: ScratchResource,
) -> Made[MadeThumbnails] | Unchanged:
    """A picture of the video and one of each clip, the sharpest and best exposed of several frames.

    Reads the video and the clips. Writes JPEG files, at most 640x360 (360x640 upright), and rows of
    'thumbnails'. A source without a picture has none, and the metadata says so. Where only some can
    be made, those are kept and a check warns; materialise again to try the rest. If it fails, none
    could be made, or a clip is missing: materialise 'clips' first.
    """
    wanted = _wanted(video, clips)
    marks = {owner or "": mark for owner, mark in wanted.items()}
    if previous.is_made_from(inputs=marks):
        return UNCHANGED
    stored = previous.value.thumbnails if previous.value else ()
    still_right = previous.still_right({one.clip_of_moment: one for one in stored}, wanted)
    kept = tuple(still_right.values())
    missing = [owner for owner in wanted if owner not in still_right]
    folder = scratch.subfolder("thumbnails")
    with (
        progress_logged(context, "thumbnails are made") as progress,
        worker_threads(available_cores()) as (pool, _),
    ):
        outcomes = pool.map(
            lambda owner: _made(owner, video, clips, media, folder, wanted[owner]), missing
        )
        tried = tuple(progress.counted(outcomes, total=len(missing)))
    made = tuple(one for one in tried if isinstance(one, ThumbnailFile))
    failures = tuple(one for one in tried if isinstance(one, ThumbnailFailure))
    _say(context, made, kept, failures)
    pieces: Iterable[Thumbnail | ThumbnailFile] = (*kept, *made)
    there = {one.clip_of_moment or "": one.fingerprint for one in pieces}
    return Made(
        value=MadeThumbnails(kept=kept, made=made, failures=failures),
        data_version=digest(there),
        details={
            "thumbnails": len(there),
            "why_none": "" if wanted else NO_PICTURE,
            MISSING: [one.reason for one in failures],
            BLANK: _blank(made, kept, before=previous.details.get(BLANK, {})),
            SHEET: _sheet(video, clips, made, kept, media),
        },
        metadata={
            "made_now": len(made),
            **({FAILED_PARTS_KEY: len(failures)} if failures else {}),
        },
        complete=not failures,
    )


def _say(
    context: dg.AssetExecutionContext,
    made: Sequence[ThumbnailFile],
    kept: Sequence[Thumbnail],
    failures: Sequence[ThumbnailFailure],
) -> None:
    """Say in the log what came of it.

    Raises:
        MediaFailed: If there is not one thumbnail of those that there should be.
    """
    context.log.info("Made %d thumbnails and kept %d.", len(made), len(kept))
    for failure in failures:
        context.log.error("%s.", failure.reason)
    if not (made or kept or failures):
        context.log.info("%s.", NO_PICTURE)
    if failures and not (made or kept):
        raise MediaFailed(
            f"none of the {len(failures)} thumbnails could be made; the first: {failures[0].reason}"
        )


def _wanted(video: Video, clips: Clips) -> dict[_Owner, str]:
    """Fingerprints of the thumbnails that there should be."""
    if video.facts.video is None:
        return {}
    urls: dict[_Owner, str] = {None: video.cloud_url}
    urls |= {clip.moment_identifier: clip.cloud_url for clip in clips.clips}
    return {
        owner: fingerprint(code_version=CODE_VERSION, inputs={"object": url}, settings={})
        for owner, url in urls.items()
    }


def _made(
    owner: _Owner, video: Video, clips: Clips, media: MediaResource, folder: Path, mark: str
) -> ThumbnailFile | ThumbnailFailure:
    """Make the thumbnail of the video, or of a moment's clip; one that fails stops no other."""
    clip = next((one for one in clips.clips if one.moment_identifier == owner), None)
    path = media.local_file(clip.cloud_url if clip else video.cloud_url)
    try:
        facts = probe_written(path) if clip else video.facts
        length = facts.duration_seconds
        start, end = moment_within(clip, length) if clip else (0.0, length)
        choice = make_thumbnail(
            path,
            facts,
            start_time=start,
            end_time=end,
            destination=folder / f"{owner or 'video'}.jpg",
            samples=SAMPLES,
            timeout_seconds=TIMEOUT_SECONDS,
        )
    except MediaFailed as failure:
        reason = f"There is no thumbnail of {_named(owner)}: {failure.reason}"
        return ThumbnailFailure(owner, reason)
    return ThumbnailFile(owner, choice.path, mark, choice.time_seconds)


def _named(owner: _Owner) -> str:
    return "the video" if owner is None else f"the clip of the moment {owner}"


def moment_within(clip: Clip, length: float) -> tuple[float, float]:
    """Where a clip shows its moment, in seconds of the clip; what is around it is another's."""
    start, end = clip.padding_left, length - clip.padding_right
    return (start, end) if 0 <= start < end else (0.0, length)


def _blank(
    made: Sequence[ThumbnailFile], kept: Sequence[Thumbnail], *, before: Mapping[str, str]
) -> dict[str, str]:
    """Sentences about thumbnails that show nothing, by whose they are; of kept ones, the old."""
    owners = {one.clip_of_moment or "" for one in kept}
    found = {owner: sentence for owner, sentence in before.items() if owner in owners}
    for one in made:
        owner = one.clip_of_moment
        sentence = picture_problem(f"the thumbnail of {_named(owner)}", exposure_of(one.path))
        if sentence:
            found[owner or ""] = sentence
    return found


def _sheet(
    video: Video,
    clips: Clips,
    made: Sequence[ThumbnailFile],
    kept: Sequence[Thumbnail],
    media: MediaResource,
) -> dict[str, Any]:
    """The contact sheet: the video's own thumbnail, then those of clips in order of time."""
    urls = {one.clip_of_moment: one.cloud_url for one in kept}
    paths = {one.clip_of_moment: one.path for one in made}
    labels: dict[_Owner, str] = {None: "video"}
    labels |= {
        clip.moment_identifier: clock(clip.start_time + clip.padding_left) for clip in clips.clips
    }
    shown = [owner for owner in labels if owner in urls or owner in paths][:MOST_TILES]
    facts = video.facts.video
    return remembered_sheet(
        [
            (labels[owner], paths[owner] if owner in paths else media.local_file(urls[owner]))
            for owner in shown
        ],
        upright=facts is not None and facts.height > facts.width,
        of=len(urls | paths),
    )
