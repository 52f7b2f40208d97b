"""Cutting clips: by copying where that can be proved right, else by encoding again."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from videomoments_dagster.base.failures import (
    MediaFailed,
    ScratchExhausted,
    SourceRejected,
    VideoMomentsError,
)
from videomoments_dagster.base.files import (
    DISK_FULL,
    part_path,
    removed_afterwards,
    replaced_whole,
)
from videomoments_dagster.base.workers import available_cores, worker_threads
from videomoments_dagster.media.clip_plan import ClipPlan, ClipRequest, plan_clip
from videomoments_dagster.media.clip_proof import ProofFailed, prove_clip
from videomoments_dagster.media.container import UNREADABLE, MediaFile
from videomoments_dagster.media.cut_methods import CopyImpossible, copy_clip, encode_clip
from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.media.frame_access import DecodedFrame
from videomoments_dagster.media.probe import probe, probe_written
from videomoments_dagster.media.restamping import restamp, tells_times_of_decoding


@dataclass(frozen=True, slots=True)
class CutClip:
    """A clip that was cut and proved.

    Attributes:
        path: The MP4 file, its index in front.
        method: "copy" or "encode".
        facts: Its probe.
        start_time: Presented time in the source at which it starts, seconds.
        end_time: Presented time in the source at which it ends, seconds.
    """

    path: Path
    method: Literal["copy", "encode"]
    facts: MediaFacts
    start_time: float
    end_time: float


def cut_clip(
    request: ClipRequest, *, threads: int = 1, cancelled: threading.Event | None = None
) -> CutClip:
    """Cut one clip and prove that it shows what it should.

    Args:
        request: The clip.
        threads: Threads for decoding and encoding.
        cancelled: Set by another thread to stop.

    Raises:
        MediaFailed: It could not be cut, or did not pass the proof.
    """
    with MediaFile(request.source, request.facts, threads=threads) as source:
        if tells_times_of_decoding(source):
            return _cut_restamped(source, request, cancelled)
        plan = plan_clip(source, request, copied=request.method != "encode", cancelled=cancelled)
        if request.method != "encode":
            try:
                return _attempt(plan, request.destination, "copy")
            except MediaFailed:
                if request.method == "copy" or (cancelled is not None and cancelled.is_set()):
                    raise
            if not isinstance(plan.first, DecodedFrame):
                plan = plan_clip(source, request, copied=False, cancelled=cancelled)
        return _attempt(plan, request.destination, "encode")


def _cut_restamped(
    source: MediaFile, request: ClipRequest, cancelled: threading.Event | None
) -> CutClip:
    """Cut a clip of a source that does not tell when its pictures are shown."""
    end = min(request.end_time, source.facts.duration_seconds)
    if not 0 <= request.start_time < end:
        raise MediaFailed(f"A clip of '{source.path.name}' cannot start at {request.start_time} s")
    with removed_afterwards(part_path(request.destination)) as copy:
        try:
            offset = restamp(source, start=request.start_time, end=end, to=copy)
            facts = probe(copy)
            start = request.start_time + offset - facts.origin_seconds
            moved = replace(
                request,
                source=copy,
                facts=facts,
                start_time=start,
                end_time=start + end - request.start_time,
            )
            clip = cut_clip(moved, threads=source.threads, cancelled=cancelled)
        except (MediaFailed, SourceRejected, *UNREADABLE) as error:
            raise MediaFailed(
                f"Cutting {request.start_time:.3f}-{end:.3f} s out of '{source.path.name}', which "
                f"tells only when its pictures are decoded, not when they are shown: {error}",
                remedy="Convert the video to MP4 and add that",
            ) from error
    return replace(clip, start_time=request.start_time, end_time=end)


def _attempt(plan: ClipPlan, destination: Path, method: Literal["copy", "encode"]) -> CutClip:
    task = plan.task.capitalize()
    by = f"{task} by {'copying' if method == 'copy' else 'encoding'}"
    try:
        with (
            removed_afterwards(part_path(destination)) as raw,
            replaced_whole(destination) as finished,
        ):
            cut = copy_clip if method == "copy" else encode_clip
            begins_at = cut(plan, raw=raw, destination=finished)
            facts = probe_written(finished)
            with MediaFile(finished, facts, threads=plan.source.threads) as clip:
                prove_clip(plan, clip, begins_at=begins_at, copied=method == "copy")
    except CopyImpossible as error:
        raise MediaFailed(
            f"{task} without encoding is not possible: {error}",
            remedy="Use the cut method 'auto' or 'encode'",
        ) from error
    except ProofFailed as error:
        raise MediaFailed(f"{by} went wrong: {error}") from error
    except SourceRejected as error:
        raise MediaFailed(f"{by} gave a file that does not play") from error
    except (*UNREADABLE, ValueError) as error:
        if getattr(error, "errno", None) in DISK_FULL | {errno.EROFS}:
            raise ScratchExhausted(
                f"{task} failed: '{destination.parent}' is full or not writable",
                remedy="Free space there, or point the scratch folder elsewhere",
            ) from error
        raise MediaFailed(f"{by} failed: {getattr(error, 'strerror', None) or error}") from error
    return CutClip(destination, method, facts, plan.start_time, plan.end_time)


def cut_clips(
    requests: Sequence[ClipRequest],
    *,
    workers: int | None = None,
    on_done: Callable[[int, CutClip | VideoMomentsError], None] | None = None,
) -> list[CutClip | VideoMomentsError]:
    """Cut several clips at once; one that fails does not stop the others.

    Args:
        requests: The clips.
        workers: How many at once; as many as there are cores when None.
        on_done: Called in this thread with the request's index when one is finished.

    Returns:
        For each request, in order, the clip or the failure.
    """
    cores = available_cores()
    workers = max(1, min(workers or cores, len(requests)))
    with worker_threads(workers) as (pool, cancelled):

        def cut(request: ClipRequest) -> CutClip | VideoMomentsError:
            try:
                return cut_clip(request, threads=max(1, cores // workers), cancelled=cancelled)
            except VideoMomentsError as failure:
                return failure

        futures = {pool.submit(cut, request): index for index, request in enumerate(requests)}
        for future in as_completed(futures):
            outcome = future.result()
            if on_done is not None:
                on_done(futures[future], outcome)
    return [future.result() for future in futures]
