"""The `clips` asset: an MP4 per root moment, frame-exact."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal

import dagster as dg
from pydantic import Field

from videomoments_dagster.base.failures import MediaFailed, VideoMomentsError
from videomoments_dagster.base.fingerprints import digest, fingerprint
from videomoments_dagster.core.asset import (
    UNCHANGED,
    Made,
    MaterialisationConfig,
    Previous,
    Unchanged,
    asset,
)
from videomoments_dagster.core.media_files import MediaResource
from videomoments_dagster.core.pools import ENCODING
from videomoments_dagster.core.progress_log import progress_logged
from videomoments_dagster.core.resources import ScratchResource
from videomoments_dagster.media.clip_cutting import CutClip, cut_clips
from videomoments_dagster.media.clip_plan import ClipRequest, ClipWindow, CutMethod, clip_window
from videomoments_dagster.moments.asset_resources import ClipSettings, ClipSettingsResource
from videomoments_dagster.moments.checks import (
    every_moment_has_a_clip,
    stored_clips,
)
from videomoments_dagster.moments.identity import video_content
from videomoments_dagster.moments.metadata.materialisations import clips_metadata, failures_table
from videomoments_dagster.moments.page.page_store import page_beside_clips
from videomoments_dagster.moments.records import (
    Clip,
    ClipFailure,
    ClipFile,
    Clips,
    CutClips,
    Moment,
    Moments,
    Video,
)
from videomoments_dagster.moments.soundness import require_places
from videomoments_dagster.moments.storage.clip_rows import ClipRows
from videomoments_dagster.moments.storage.moment_rows import PLACES
from videomoments_dagster.moments.storage.video_rows import CONTENT
from videomoments_dagster.moments.system import MOMENTS

CODE_VERSION = "1"

_ROWS = ClipRows()

ClipBoundaries = Literal["root", "refined"]
"""Which boundaries clips are cut from: those of moments as they were found, or refined ones."""


class ClipsConfig(MaterialisationConfig):
    """Run config of `clips`; what is not given here is the installation's setting."""

    padding_left: float | None = Field(
        default=None, description="Seconds shown before the moment.", ge=0, le=3600
    )
    padding_right: float | None = Field(
        default=None, description="Seconds shown after the moment.", ge=0, le=3600
    )
    method: str = Field(
        default="",
        description="'copy' (never re-encode), 'encode' (always), or 'auto'.",
        pattern="^(auto|copy|encode|)$",
    )


def _clips(
    context: dg.AssetExecutionContext,
    config: ClipsConfig,
    video: Video,
    moments: Moments,
    previous: Previous[Clips],
    clip_settings: ClipSettingsResource,
    media: MediaResource,
    scratch: ScratchResource,
    refined_moments: Moments | None = None,
) -> Made[CutClips] | Unchanged:
    """A clip of each moment, with some seconds before and after it.

    Reads the video and the root moments, and with VIDEOMOMENTS_CLIP_BOUNDARIES=refined where these
    begin and end after refining; a clip belongs to the root moment in any case. Writes MP4 files to
    the object store and rows of 'clips'; cuts only what is missing or was cut with other settings.
    Clips are copied without re-encoding where the codecs allow, and each proves itself: right first
    frame, right length, sound in step. Where only some can be cut, those are kept and a check
    warns; materialise again to try the rest. If it fails, none could be cut, and the message says
    why.
    """
    require_places(moments, video)
    if refined_moments is not None:
        require_places(refined_moments, video, asset="refined_moments")
    settings = clip_settings.chosen(
        padding_left=config.padding_left,
        padding_right=config.padding_right,
        method=config.method or None,
    )
    spans = {one.parent_identifier: one for one in (refined_moments or Moments(())).moments}
    wanted = {
        root.identifier: _wanted(root, spans.get(root.identifier, root), video, settings)
        for root in moments.moments
    }
    marks = {key: one.fingerprint for key, one in wanted.items()}
    if previous.is_made_from(inputs=marks):
        return UNCHANGED
    stored = previous.value.clips if previous.value else ()
    kept = previous.still_right({clip.moment_identifier: clip for clip in stored}, marks)
    missing = [one for key, one in wanted.items() if key not in kept]
    cut, failures = _cut(context, video, missing, media, scratch) if missing else ((), ())
    for failure in failures:
        context.log.error(
            "There is no clip for moment %s: %s.", failure.moment_identifier, failure.reason
        )
    if failures and not cut and not kept:
        raise MediaFailed(
            f"none of the {len(failures)} clips could be cut; the first: {failures[0].reason}"
        )
    result = CutClips(kept=tuple(kept.values()), cut=cut, failures=failures)
    return _made(result, why_none=moments.why_fewer)


def clips_from(boundaries: ClipBoundaries) -> dg.AssetsDefinition:
    """The asset `clips`, cut from moments as they were found, or as they were refined.

    Only clips that are cut from refined moments wait for these, and are out of date when these
    change. To change the setting is to have other code: what was cut before it is out of date.
    """
    is_refined = boundaries == "refined"
    return asset(
        MOMENTS,
        _ROWS,
        code_version=f"{CODE_VERSION}, refined" if is_refined else CODE_VERSION,
        kinds={"ffmpeg", "postgres", "storage"},
        pool=ENCODING,
        metadata=clips_metadata,
        checks=[every_moment_has_a_clip],
        stored_check=stored_clips,
        depends_on={"video": CONTENT, "moments": PLACES, "refined_moments": PLACES},
        after_storing=page_beside_clips,
        without=() if is_refined else ("refined_moments",),
    )(_clips)


clips = clips_from("root")


@dataclass(frozen=True, slots=True)
class _WantedClip:
    """A clip that there should be.

    Attributes:
        moment: Identifier of the root moment that it shows.
        window: What it shows of the video.
        method: How it is cut.
        fingerprint: What determines its bytes.
    """

    moment: str
    window: ClipWindow
    method: CutMethod
    fingerprint: str


def _wanted(root: Moment, span: Moment, video: Video, settings: ClipSettings) -> _WantedClip:
    """The clip of a root moment, around the boundaries of `span`: its own, or refined ones."""
    window = clip_window(
        span.start_time,
        span.end_time,
        padding_left=settings.padding_left,
        padding_right=settings.padding_right,
        duration=video.facts.duration_seconds,
    )
    made_from = fingerprint(
        code_version=CODE_VERSION,
        inputs={
            "video": video_content(video),
            "start_time": window.start_time,
            "end_time": window.end_time,
        },
        settings={"method": settings.method},
    )
    return _WantedClip(root.identifier, window, settings.method, made_from)


def _cut(
    context: dg.AssetExecutionContext,
    video: Video,
    wanted: Sequence[_WantedClip],
    media: MediaResource,
    scratch: ScratchResource,
) -> tuple[tuple[ClipFile, ...], tuple[ClipFailure, ...]]:
    """Cut several at once; one that fails does not stop the others."""
    context.log.info("Cutting %d clips.", len(wanted))
    with progress_logged(context, "of the video are fetched"):
        stretches = [(one.window.start_time, one.window.end_time) for one in wanted]
        local = media.local_stretches(video.cloud_url, video.facts, stretches)
    folder = scratch.subfolder("clips")
    outcomes = _cut_from(context, local.path, video, wanted, folder, "Cut %d of %d clips.")
    again = [n for n, outcome in enumerate(outcomes) if not isinstance(outcome, CutClip)]
    if again and not local.is_whole:
        # A file may keep something elsewhere than its index says; the whole of it settles that.
        whole = media.local_file(video.cloud_url)
        some = [wanted[n] for n in again]
        said = "Cut %d of %d clips from the whole video."
        retried = _cut_from(context, whole, video, some, folder, said)
        for number, outcome in zip(again, retried, strict=True):
            outcomes[number] = outcome
    pairs = list(zip(wanted, outcomes, strict=True))
    cut = tuple(_clip_file(one, got) for one, got in pairs if isinstance(got, CutClip))
    failed = [(one, got) for one, got in pairs if not isinstance(got, CutClip)]
    return cut, tuple(ClipFailure(one.moment, problem.reason) for one, problem in failed)


def _cut_from(
    context: dg.AssetExecutionContext,
    source: Path,
    video: Video,
    wanted: Sequence[_WantedClip],
    folder: Path,
    said: str,
) -> list[CutClip | VideoMomentsError]:
    requests = [
        ClipRequest(
            source=source,
            facts=video.facts,
            start_time=one.window.start_time,
            end_time=one.window.end_time,
            destination=folder / f"{one.moment}.mp4",
            method=one.method,
        )
        for one in wanted
    ]
    with progress_logged(context, "clips are cut") as progress:
        done = count(1)
        progress.count(0, len(requests))
        outcomes = cut_clips(requests, on_done=lambda *_: progress.count(next(done), len(requests)))
    context.log.info(said, sum(isinstance(one, CutClip) for one in outcomes), len(requests))
    return outcomes


def _clip_file(wanted: _WantedClip, cut: CutClip) -> ClipFile:
    return ClipFile(
        moment_identifier=wanted.moment,
        path=cut.path,
        start_time=wanted.window.start_time,
        end_time=wanted.window.end_time,
        padding_left=wanted.window.padding_left,
        padding_right=wanted.window.padding_right,
        method=cut.method,
        facts=cut.facts,
        fingerprint=wanted.fingerprint,
    )


def _made(result: CutClips, *, why_none: str) -> Made[CutClips]:
    pieces: Iterable[Clip | ClipFile] = (*result.kept, *result.cut)
    everything = {clip.moment_identifier: clip.fingerprint for clip in pieces}
    failures = result.failures
    return Made(
        value=result,
        data_version=digest(everything),
        details={
            "clips": len(everything),
            "failed": len(failures),
            "why_none": why_none if not everything else "",
        },
        metadata={
            "cut_now": len(result.cut),
            **({"failures": failures_table(failures)} if failures else {}),
        },
        complete=not failures,
    )
