"""What must hold of moments, of refined ones, and of their clips.

Belongs here: rules about times, counts and who belongs to whom. Does not belong here: mending any.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from videomoments_dagster.base.text import clock
from videomoments_dagster.moments.records import (
    Clip,
    GenerationConfig,
    Moment,
    Moments,
    SelectedConfigs,
)
from videomoments_dagster.moments.soundness import TIME_TOLERANCE_SECONDS


def place_problems(moments: Iterable[Moment], *, duration_seconds: float) -> tuple[str, ...]:
    """Moments that no clip can be cut of, each as a sentence: no length, or outside the video."""
    problems = []
    for moment in moments:
        times = (moment.start_time, moment.end_time)
        if not all(map(math.isfinite, times)) or moment.end_time <= moment.start_time:
            problems.append(f"{_named(moment)} has no length")
        elif (
            moment.start_time < -TIME_TOLERANCE_SECONDS
            or moment.end_time > duration_seconds + TIME_TOLERANCE_SECONDS
        ):
            problems.append(
                f"{_named(moment)} is not inside the video of {clock(duration_seconds)} "
                f"({duration_seconds:.2f} s)"
            )
    return tuple(problems)


def overlap_problems(moments: Iterable[Moment]) -> tuple[str, ...]:
    """Moments that begin before the one before them has ended, each as a sentence."""
    problems = []
    in_order = sorted(moments, key=lambda moment: (moment.start_time, moment.end_time))
    latest: Moment | None = None
    for moment in in_order:
        if latest and moment.start_time < latest.end_time - TIME_TOLERANCE_SECONDS:
            problems.append(f"{_named(moment)} overlaps {_named(latest)}")
        if latest is None or moment.end_time > latest.end_time:
            latest = moment
    return tuple(problems)


def config_problems(moments: Moments, config: GenerationConfig) -> tuple[str, ...]:
    """In what the moments are not what their configuration asks for, each as a sentence.

    Fewer than asked for is no problem where `why_fewer` gives the reason.
    """
    problems = list(_length_problems(moments.moments, config))
    count = len(moments.moments)
    if config.max_moments is not None and count > config.max_moments:
        problems.append(f"there are {count} moments, and at most {config.max_moments} are wanted")
    if config.min_moments is not None and count < config.min_moments and not moments.why_fewer:
        problems.append(
            f"there are {count} moments, and at least {config.min_moments} are wanted; nothing "
            "says why there are fewer"
        )
    return tuple(problems)


def refinement_problems(
    refined: Moments, roots: Moments, configs: SelectedConfigs
) -> tuple[str, ...]:
    """In what refined moments are not their roots with better boundaries, each as a sentence.

    Each root has one refined moment, no boundary further from the root's than `max_shift_seconds`.

    Args:
        refined: The refined moments.
        roots: The moments that they refine.
        configs: What both were made with.
    """
    by_identifier = {root.identifier: root for root in roots.moments}
    children = Counter(moment.parent_identifier for moment in refined.moments)
    problems = [
        f"{_named(root)} has {children[root.identifier]} refined moments, not one"
        for root in roots.moments
        if children[root.identifier] != 1
    ]
    furthest = configs.max_shift_seconds + TIME_TOLERANCE_SECONDS
    for moment in refined.moments:
        parent = by_identifier.get(moment.parent_identifier or "")
        if parent is None:
            problems.append(f"{_named(moment)} refines no moment that there is")
            continue
        shift = largest_shift(moment, parent)
        if not shift <= furthest:
            problems.append(
                f"{_named(moment)} is {shift:.2f} s away from the moment that it refines, and "
                f"{configs.max_shift_seconds:g} s are allowed"
            )
    return tuple(problems)


def largest_shift(refined: Moment, root: Moment) -> float:
    """How far the boundary that was moved most was moved, seconds."""
    return max(abs(refined.start_time - root.start_time), abs(refined.end_time - root.end_time))


def moments_without_clip(moments: Moments, clips: Sequence[Clip]) -> tuple[Moment, ...]:
    """Moments that no clip shows, in order of time."""
    shown = {clip.moment_identifier for clip in clips}
    return tuple(moment for moment in moments.moments if moment.identifier not in shown)


def _length_problems(moments: Iterable[Moment], config: GenerationConfig) -> Iterable[str]:
    for moment in moments:
        length = moment.end_time - moment.start_time
        if config.min_moment_length is not None and (
            length < config.min_moment_length - TIME_TOLERANCE_SECONDS
        ):
            yield (
                f"{_named(moment)} is {length:.2f} s long, and at least "
                f"{config.min_moment_length:g} s are wanted"
            )
        if config.max_moment_length is not None and (
            length > config.max_moment_length + TIME_TOLERANCE_SECONDS
        ):
            yield (
                f"{_named(moment)} is {length:.2f} s long, and at most "
                f"{config.max_moment_length:g} s are wanted"
            )


def _named(moment: Moment) -> str:
    return (
        f"the moment {moment.identifier} from {moment.start_time:.2f} s to {moment.end_time:.2f} s"
    )
