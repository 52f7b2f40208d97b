"""Checks of what was just made, and of what is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from videomoments_dagster.base.failures import MediaFailed, VideoMomentsError
from videomoments_dagster.base.files import kibibytes
from videomoments_dagster.core.asset_checks import WARN, CheckOutcome, result_check, stored_check
from videomoments_dagster.core.stored_checks import StoredPartition
from videomoments_dagster.media.probe import probe
from videomoments_dagster.media.stills import exposure_of
from videomoments_dagster.moments.records import (
    Clip,
    ClipFile,
    Clips,
    CutClips,
    Moments,
    SelectedConfigs,
    Thumbnails,
    Video,
)
from videomoments_dagster.moments.soundness import (
    clip_problems,
    config_problems,
    moments_without_clip,
    overlap_problems,
    picture_problem,
    place_problems,
    refinement_problems,
    size_problems,
    speech_problems,
    word_time_problems,
)
from videomoments_dagster.speech.transcripts import Transcript

BLANK = "stored_blank"
"""Name, in what is remembered of thumbnails, of sentences about those that show nothing."""

MISSING = "stored_missing"
"""The same, of sentences about those that could not be made."""

_AGAIN = "Materialise '{}' for this video again, with `force`; if that changes nothing, report it"
_REMEDY_OF_ROWS = "Materialise '{}' for this video again, with `force`"
# Nothing overwrites an object.
_REMEDY_OF_FILES = "Remove the file if it is broken, then materialise '{}' for this video again"


@result_check(
    "Words follow each other and lie inside the video. Moments are cut at words: where this fails, "
    "nothing downstream begins. Transcribe again with 'force', or with another engine; a caption "
    "file that belongs to another video is a common reason.",
    blocking=True,
)
def word_times_are_in_order(transcript: Transcript, video: Video) -> CheckOutcome:
    """Words go forward, inside the video."""
    return _order_of_words(transcript, video, remedy=_AGAIN)


@result_check(
    "There is about as much speech as a person would expect: not next to none in a long video, and "
    "at a pace that people speak at. A warning points to a wrong language, engine or caption file. "
    "No speech at all passes.",
    severity=WARN,
)
def speech_share_is_plausible(transcript: Transcript, video: Video) -> CheckOutcome:
    """As much speech as one would expect."""
    usual = "There is as much speech as one would expect."
    return CheckOutcome(
        speech_problems(transcript, video.facts.duration_seconds),
        holds=usual if transcript.words else "There is no speech.",
        remedy="Look whether language, engine and caption file are the right ones",
    )


@result_check(
    "Every moment has a length, lies inside the video, and overlaps no other. Clips cannot be cut "
    "otherwise: where this fails, nothing downstream begins. Materialise 'moments' again with "
    "'force'.",
    blocking=True,
)
def moments_lie_in_the_video(moments: Moments, video: Video) -> CheckOutcome:
    """Moments are inside the video, one after the other."""
    holds = f"All {len(moments.moments)} moments lie inside the video, one after the other."
    return CheckOutcome(_places(moments, video), holds, _AGAIN.format("moments"))


@result_check(
    "Lengths and number of moments are within the profile's limits; fewer than wanted come with a "
    "reason. A warning means that clips are made all the same; compare the profile with the table "
    "of the moments.",
    severity=WARN,
)
def moments_meet_their_config(moments: Moments, generation_config: SelectedConfigs) -> CheckOutcome:
    """Lengths and number are within limits."""
    holds = moments.why_fewer or "Lengths and number are as the profile wants them."
    remedy = f"Compare them with the profile '{generation_config.profile}'"
    return CheckOutcome(config_problems(moments, generation_config.generation), holds, remedy)


@result_check(
    "Each moment has one refined moment, inside the video, none of whose boundaries is further "
    "from it than the profile's 'max_shift_seconds'. Clips depend on it only where they are cut "
    "from refined moments. Materialise 'refined_moments' again with 'force'.",
)
def refined_moments_stay_near(
    refined: Moments, moments: Moments, generation_config: SelectedConfigs, video: Video
) -> CheckOutcome:
    """No boundary was moved further than allowed."""
    problems = _refinement(refined, moments, generation_config, video)
    holds = f"No boundary was moved by more than {generation_config.max_shift_seconds:g} s."
    return CheckOutcome(problems, holds, _AGAIN.format("refined_moments"))


@result_check(
    "Every root moment has a clip. A warning here means that some could not be cut; the metadata "
    "says which and why, and materialising again cuts only those.",
    severity=WARN,
)
def every_moment_has_a_clip(clips: Clips | CutClips, moments: Moments) -> CheckOutcome:
    """No moment is without a clip."""
    cut: Sequence[Clip | ClipFile] = (
        clips.clips if isinstance(clips, Clips) else (*clips.kept, *clips.cut)
    )
    missing, count = len(moments_without_clip(moments, cut)), len(moments.moments)
    return CheckOutcome(
        [f"{missing} of {count} moments have no clip"] if missing else [],
        holds=f"All {count} moments have a clip.",
        remedy="Materialise 'clips' again to cut only those; the run's log says why they could not "
        "be cut",
        metadata={"moments": count, "without_clip": missing},
    )


@result_check(
    "The video and each clip have a thumbnail, and none is black, white or blank. A warning means "
    "that no frame looked at could be decoded, or that none was any better: look whether the video "
    "itself is damaged or dark there.",
    severity=WARN,
)
def thumbnails_show_something(_: object, details: Mapping[str, Any]) -> CheckOutcome:
    """No thumbnail is missing or blank."""
    return CheckOutcome(
        [*details.get(MISSING, ()), *details.get(BLANK, {}).values()],
        holds="No thumbnail is missing, black, white or blank.",
        remedy="Play the video there; none of the frames looked at was any better",
    )


@stored_check(
    "The stored file is there, as large as its row says. Reads the row and asks the object store; "
    "writes nothing. If it fails, remove the file if it is broken, then materialise 'video' again; "
    "the source has to be there still."
)
def stored_video(stored: StoredPartition) -> CheckOutcome:
    """The file is there, and whole."""
    video = stored.value(Video, "video")
    found, expected = stored.stat(video.cloud_url), kibibytes(video.facts.size_bytes)
    if found is None:
        problems: Sequence[str] = [f"the file {video.cloud_url} is gone"]
    else:
        problems = size_problems(video.cloud_url, found.size_bytes, expected_kibibytes=expected)
    holds = "The stored file is there, as large as it was."
    return CheckOutcome(problems, holds, _REMEDY_OF_FILES.format("video"))


@stored_check(
    "Stored words follow each other and lie inside the video. Reads rows only; writes nothing. If "
    "it fails, somebody changed the row, or the video was replaced: materialise 'transcript' again."
)
def stored_transcript(stored: StoredPartition) -> CheckOutcome:
    """Words go forward, inside the video."""
    transcript, video = stored.value(Transcript, "transcript"), stored.value(Video, "video")
    return _order_of_words(transcript, video, remedy=_REMEDY_OF_ROWS)


@stored_check(
    "Stored moments lie inside the video, overlap no other, and meet the stored config. Reads rows "
    "only; writes nothing. If it fails, somebody changed rows, or the config was replaced since: "
    "materialise 'moments' again."
)
def stored_moments(stored: StoredPartition) -> CheckOutcome:
    """Moments are inside the video and within the config's limits."""
    moments = stored.value(Moments, "moments")
    config = stored.value(SelectedConfigs, "generation_config").generation
    problems = _places(moments, stored.value(Video, "video")) + config_problems(moments, config)
    holds = f"All {len(moments.moments)} moments are in order."
    return CheckOutcome(problems, holds, _REMEDY_OF_ROWS.format("moments"))


@stored_check(
    "Each stored moment has one refined moment, no further from it than the stored config allows. "
    "Reads rows only; writes nothing. If it fails, rows were changed, or 'moments' was "
    "materialised since: materialise 'refined_moments' again."
)
def stored_refined_moments(stored: StoredPartition) -> CheckOutcome:
    """No boundary was moved further than allowed."""
    refined = stored.value(Moments, "refined_moments")
    roots = stored.value(Moments, "moments")
    configs = stored.value(SelectedConfigs, "generation_config")
    problems = _refinement(refined, roots, configs, stored.value(Video, "video"))
    holds = f"All {len(refined.moments)} refined moments are in order."
    return CheckOutcome(problems, holds, _REMEDY_OF_ROWS.format("refined_moments"))


@stored_check(
    "Every moment has a clip that opens, is as long as its row says, and has picture and sound as "
    "the video has. Reads rows, and probes each object; writes nothing. If it fails, remove the "
    "file if it is broken, then materialise 'clips' again: only what is missing is cut."
)
def stored_clips(stored: StoredPartition) -> CheckOutcome:
    """Every moment has a clip that opens and is complete."""
    video, clips = stored.value(Video, "video"), stored.value(Clips, "clips")
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
        size, expected = found.size_bytes, clip.file_size_kb
        problems += size_problems(clip.cloud_url, size, expected_kibibytes=expected)
        problems += clip_problems(clip, found, source=video)
    holds = f"All {len(clips.clips)} clips open, and are complete."
    return CheckOutcome(problems, holds, _REMEDY_OF_FILES.format("clips"))


@stored_check(
    "Every stored thumbnail opens and shows something: none is black, white or blank. Reads rows "
    "and each object; writes nothing. If it fails, remove the file if it is broken, then "
    "materialise 'thumbnails' again; one that stays black is of a video that is black there."
)
def stored_thumbnails(stored: StoredPartition) -> CheckOutcome:
    """Every thumbnail opens, and shows something."""
    thumbnails = stored.value(Thumbnails, "thumbnails").thumbnails
    problems = []
    for thumbnail in thumbnails:
        path, problem = stored.file(thumbnail.cloud_url)
        if path is not None:
            named = f"the thumbnail {thumbnail.cloud_url}"
            try:
                problem = picture_problem(named, exposure_of(path))
            except (MediaFailed, OSError):
                problem = f"{named} cannot be opened"
        if problem:
            problems.append(problem)
    holds = f"All {len(thumbnails)} thumbnails open, and show something."
    return CheckOutcome(problems, holds, _REMEDY_OF_FILES.format("thumbnails"))


def _order_of_words(transcript: Transcript, video: Video, *, remedy: str) -> CheckOutcome:
    problems = word_time_problems(transcript, video.facts.duration_seconds)
    holds = f"All {len(transcript.words)} words follow each other inside the video."
    return CheckOutcome(problems, holds, remedy.format("transcript"))


def _places(moments: Moments, video: Video) -> tuple[str, ...]:
    inside = place_problems(moments.moments, video.facts.duration_seconds)
    return inside + overlap_problems(moments.moments)


def _refinement(
    refined: Moments, roots: Moments, configs: SelectedConfigs, video: Video
) -> tuple[str, ...]:
    near = refinement_problems(refined, roots, configs)
    return near + place_problems(refined.moments, video.facts.duration_seconds)
