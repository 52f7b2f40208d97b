"""Checks of what an asset just made, in its own step: for nothing, since the values are at hand.

Belongs here: their specs, and from values to results. Does not belong here: the rules
(`videomoments_dagster.moments.soundness`).
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from videomoments_dagster.moments.checks.check_outcome import ERROR, WARN, outcome, partitioned_spec
from videomoments_dagster.moments.records import Clip, Moment, Moments, SelectedConfigs
from videomoments_dagster.moments.soundness.moments_rules import (
    config_problems,
    moments_without_clip,
    overlap_problems,
    place_problems,
    refinement_problems,
)
from videomoments_dagster.moments.soundness.transcripts_rules import (
    speech_problems,
    word_time_problems,
)
from videomoments_dagster.speech.transcript import Transcript

_AGAIN = "Materialise '{}' for this video again, with `force`; if that changes nothing, report it"

TRANSCRIPT_CHECKS = [
    partitioned_spec(
        "word_times_are_in_order",
        asset="transcript",
        blocking=True,
        description="Words follow each other and lie inside the video. Moments are cut at words: "
        "where this fails, nothing downstream begins. Transcribe again with `force`, or with "
        "another engine; a caption file that belongs to another video is a common reason.",
    ),
    partitioned_spec(
        "speech_share_is_plausible",
        asset="transcript",
        description="There is about as much speech as a person would expect: not next to none in a "
        "long video, and at a pace that people speak at. A warning points to a wrong language, "
        "engine or caption file. No speech at all passes.",
    ),
]

MOMENTS_CHECKS = [
    partitioned_spec(
        "moments_lie_in_the_video",
        asset="moments",
        blocking=True,
        description="Every moment has a length, lies inside the video, and overlaps no other. "
        "Clips cannot be cut otherwise: where this fails, nothing downstream begins. Materialise "
        "`moments` again with `force`.",
    ),
    partitioned_spec(
        "moments_meet_their_config",
        asset="moments",
        description="Lengths and number of moments are within the profile's limits; fewer than "
        "wanted come with a reason. A warning means that clips are made all the same; compare the "
        "profile with the table of the moments.",
    ),
]

REFINED_CHECKS = [
    partitioned_spec(
        "refined_moments_stay_near",
        asset="refined_moments",
        description="Each moment has one refined moment, inside the video, none of whose "
        "boundaries is further from it than the profile's `max_shift_seconds`. Clips do not depend "
        "on it. Materialise `refined_moments` again with `force`.",
    )
]

EVERY_MOMENT_HAS_A_CLIP = "every_moment_has_a_clip"

CLIPS_CHECKS = [
    partitioned_spec(
        EVERY_MOMENT_HAS_A_CLIP,
        asset="clips",
        description="Every root moment has a clip. A warning here means that some could not "
        "be cut; the metadata says which and why, and materialising again cuts only those.",
    )
]

THUMBNAILS_CHECKS = [
    partitioned_spec(
        "thumbnails_show_something",
        asset="thumbnails",
        description="No thumbnail is black, white or blank. A warning means that none of the "
        "frames looked at was any better: look whether the video itself is dark there.",
    )
]


def transcript_checks(
    transcript: Transcript, *, duration_seconds: float
) -> tuple[dg.AssetCheckResult, ...]:
    """Both checks of a transcript."""
    return (
        outcome(
            word_time_problems(transcript, duration_seconds=duration_seconds),
            name="word_times_are_in_order",
            severity=ERROR,
            holds=f"All {len(transcript.words)} words follow each other inside the video.",
            remedy=_AGAIN.format("transcript"),
        ),
        outcome(
            speech_problems(transcript, duration_seconds=duration_seconds),
            name="speech_share_is_plausible",
            severity=WARN,
            holds="There is as much speech as one would expect."
            if transcript.words
            else "There is no speech.",
            remedy="Look whether language, engine and caption file are the right ones",
        ),
    )


def moments_checks(
    moments: Moments, configs: SelectedConfigs, *, duration_seconds: float
) -> tuple[dg.AssetCheckResult, ...]:
    """Both checks of root moments."""
    return (
        outcome(
            (
                *place_problems(moments.moments, duration_seconds=duration_seconds),
                *overlap_problems(moments.moments),
            ),
            name="moments_lie_in_the_video",
            severity=ERROR,
            holds=f"All {len(moments.moments)} moments lie inside the video, one after the other.",
            remedy=_AGAIN.format("moments"),
        ),
        outcome(
            config_problems(moments, configs.generation),
            name="moments_meet_their_config",
            severity=WARN,
            holds=moments.why_fewer or "Lengths and number are as the profile wants them.",
            remedy=f"Compare them with the profile '{configs.profile}'",
        ),
    )


def refined_checks(
    refined: Moments, roots: Moments, configs: SelectedConfigs, *, duration_seconds: float
) -> tuple[dg.AssetCheckResult, ...]:
    """The check of refined moments."""
    return (
        outcome(
            (
                *refinement_problems(refined, roots, configs),
                *place_problems(refined.moments, duration_seconds=duration_seconds),
            ),
            name="refined_moments_stay_near",
            severity=ERROR,
            holds=f"No boundary was moved by more than {configs.max_shift_seconds:g} s.",
            remedy=_AGAIN.format("refined_moments"),
        ),
    )


def clips_checks(moments: Moments, clips: Sequence[Clip]) -> tuple[dg.AssetCheckResult, ...]:
    """The check of clips, from those that there are now."""
    return (clips_check(moments, moments_without_clip(moments, clips)),)


def clips_check(moments: Moments, missing: Sequence[Moment]) -> dg.AssetCheckResult:
    """Whether every moment has a clip, from those that have none."""
    return dg.AssetCheckResult(
        check_name=EVERY_MOMENT_HAS_A_CLIP,
        passed=not missing,
        severity=WARN,
        description=f"{len(missing)} of {len(moments.moments)} moments have no clip. Materialise "
        "'clips' again to cut only those; the run's log says why they could not be cut."
        if missing
        else f"All {len(moments.moments)} moments have a clip.",
        metadata={"moments": len(moments.moments), "without_clip": len(missing)},
    )


def thumbnails_checks(blank: Sequence[str]) -> tuple[dg.AssetCheckResult, ...]:
    """The check of thumbnails, from sentences about those that show nothing."""
    return (
        outcome(
            blank,
            severity=WARN,
            name="thumbnails_show_something",
            holds="No thumbnail is black, white or blank.",
            remedy="Play the video there; none of the frames looked at was any better",
        ),
    )
