"""Cutting clips: by copying where that can be proved right, else by encoding again.

Belongs here: choosing the way, the proof, the fall back, several clips at once, and that nothing
is left behind. Does not belong here: either way itself (`stream_copy`, `reencode`), and which
part of the video a clip shows (`clip_window`).
"""

from __future__ import annotations

import errno
import os
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av

from videomoments_dagster.base.failures import (
    MediaFailed,
    ScratchExhausted,
    SourceRejected,
    VideoMomentsError,
)
from videomoments_dagster.media.clip_plan import ClipPlan, plan_clip
from videomoments_dagster.media.clip_proof import ProofFailed, prove_clip
from videomoments_dagster.media.container import MediaFile
from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.media.probe import probe_written
from videomoments_dagster.media.reencode import encode_clip
from videomoments_dagster.media.stream_copy import CopyImpossible, copy_clip

_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EROFS, errno.EDQUOT})

CutMethod = Literal["auto", "copy", "encode"]


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


@dataclass(frozen=True, slots=True)
class ClipRequest:
    """A clip to cut; see `cut_clip` for the fields."""

    source: Path
    facts: MediaFacts
    start_time: float
    end_time: float
    destination: Path
    method: CutMethod = "auto"


def cut_clip(
    source: Path,
    facts: MediaFacts,
    *,
    start_time: float,
    end_time: float,
    destination: Path,
    method: CutMethod = "auto",
    threads: int = 1,
    timeout_seconds: float = 1800.0,
    cancelled: threading.Event | None = None,
) -> CutClip:
    """Cut one clip and prove that it shows what it should.

    Args:
        source: The video.
        facts: Its probe.
        start_time: Presented time in seconds at which the clip starts.
        end_time: Presented time in seconds at which it ends; cut to the video's duration.
        destination: MP4 file to write; appears only when it is finished and proved.
        method: "copy" never encodes, "encode" never copies, "auto" copies where it can.
        threads: Threads for decoding and encoding.
        timeout_seconds: Wall-clock limit of each ffmpeg process.
        cancelled: Set by another thread to stop.

    Raises:
        MediaFailed: It could not be cut, or did not pass the proof.
    """
    with MediaFile(source, facts, threads=threads) as source_file:

        def planned(*, copied: bool) -> ClipPlan:
            try:
                return plan_clip(
                    source_file,
                    start_time=start_time,
                    end_time=end_time,
                    copied=copied,
                    threads=threads,
                    timeout_seconds=timeout_seconds,
                    cancelled=cancelled,
                )
            except (av.error.FFmpegError, OSError, ValueError) as error:
                raise MediaFailed(f"'{source.name}' cannot be read for cutting: {error}") from error

        plan = planned(copied=method != "encode")
        if method == "encode":
            return _attempt(plan, destination, "encode")
        try:
            return _attempt(plan, destination, "copy")
        except MediaFailed:
            if method == "copy" or (cancelled is not None and cancelled.is_set()):
                raise
        if plan.first is not None and plan.first.frames is None:
            plan = planned(copied=False)
        return _attempt(plan, destination, "encode")


def _attempt(plan: ClipPlan, destination: Path, method: Literal["copy", "encode"]) -> CutClip:
    name = f".{destination.stem[:40]}.{uuid.uuid4().hex[:12]}"
    raw = destination.with_name(f"{name}.raw.mp4")
    finished = destination.with_name(f"{name}.mp4")
    way = "copying" if method == "copy" else "encoding"
    try:
        cut = copy_clip if method == "copy" else encode_clip
        begins_at = cut(plan, raw=raw, destination=finished)
        raw.unlink(missing_ok=True)
        facts = probe_written(finished)
        with MediaFile(finished, facts, threads=plan.threads) as clip:
            prove_clip(
                plan,
                clip,
                begins_at=begins_at,
                copied=method == "copy",
            )
        finished.replace(destination)
    except CopyImpossible as error:
        raise MediaFailed(
            f"{plan.what.capitalize()} without encoding is not possible: {error}",
            remedy="Use the cut method 'auto' or 'encode'",
        ) from error
    except ProofFailed as error:
        raise MediaFailed(f"{plan.what.capitalize()} by {way} went wrong: {error}") from error
    except SourceRejected as error:
        raise MediaFailed(
            f"{plan.what.capitalize()} by {way} gave a file that does not play"
        ) from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if getattr(error, "errno", None) in _DISK_ERRORS:
            raise ScratchExhausted(
                f"{plan.what.capitalize()} failed: '{destination.parent}' is full or not writable",
                remedy="Free space there, or point the scratch folder elsewhere",
            ) from error
        raise MediaFailed(f"{plan.what.capitalize()} by {way} failed: {error}") from error
    finally:
        raw.unlink(missing_ok=True)
        finished.unlink(missing_ok=True)
    return CutClip(
        path=destination,
        method=method,
        facts=facts,
        start_time=plan.start_time,
        end_time=plan.end_time,
    )


def cut_clips(
    requests: Sequence[ClipRequest],
    *,
    workers: int | None = None,
    timeout_seconds: float = 1800.0,
    on_done: Callable[[int, CutClip | VideoMomentsError], None] | None = None,
) -> list[CutClip | VideoMomentsError]:
    """Cut several clips at once; one that fails does not stop the others.

    Args:
        requests: The clips.
        workers: How many at once; as many as there are cores when None.
        timeout_seconds: Wall-clock limit of each ffmpeg process.
        on_done: Called in this thread with the request's index when one is finished.

    Returns:
        For each request, in order, the clip or the failure.
    """
    if not requests:
        return []
    cores = available_cores()
    workers = max(1, min(workers or cores, len(requests)))
    threads = max(1, cores // workers)
    cancelled = threading.Event()
    results: dict[int, CutClip | VideoMomentsError] = {}

    def cut(request: ClipRequest) -> CutClip | VideoMomentsError:
        try:
            return cut_clip(
                request.source,
                request.facts,
                start_time=request.start_time,
                end_time=request.end_time,
                destination=request.destination,
                method=request.method,
                threads=threads,
                timeout_seconds=timeout_seconds,
                cancelled=cancelled,
            )
        except VideoMomentsError as failure:
            return failure

    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="clip") as pool:
        futures: dict[Future[CutClip | VideoMomentsError], int] = {
            pool.submit(cut, request): index for index, request in enumerate(requests)
        }
        try:
            for future in as_completed(futures):
                index = futures[future]
                results[index] = future.result()
                if on_done is not None:
                    on_done(index, results[index])
        except BaseException:
            # An interrupt reaches only this thread; the workers' ffmpeg must not run on.
            cancelled.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [results[index] for index in range(len(requests))]


def available_cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
