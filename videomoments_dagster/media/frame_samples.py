"""Single frames of a video as small JPEG pictures, for somebody to look at.

Belongs here: the frames that are shown at given times. Does not belong here: choosing a good frame
(`thumbnails`) or what the pictures are for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import av

from videomoments_dagster.base.failures import MediaFailed
from videomoments_dagster.media.container import MediaFile, open_media
from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.media.frame_access import frame_at
from videomoments_dagster.media.thumbnails import presented_jpeg


class FrameSamples:
    """Frames of one video by presented time; its file is opened when the first is wanted."""

    def __init__(self, file: Callable[[], Path], *, facts: MediaFacts) -> None:
        """Prepare to look.

        Args:
            file: Gives the file; called only where a frame is wanted, since it may be fetched.
            facts: The file's probe.
        """
        self._file = file
        self._facts = facts

    def frames(self, times_seconds: Sequence[float]) -> tuple[bytes, ...]:
        """The frames shown at these times, as JPEG of at most 640x360 or 360x640 pixels.

        Args:
            times_seconds: Presented times in seconds.

        Returns:
            Pictures in the order of the times, without those that do not decode; none for a
            source without a picture.

        Raises:
            MediaFailed: If the file cannot be opened.
        """
        video = self._facts.video
        if video is None or not times_seconds:
            return ()
        path = self._file()
        pictures: list[bytes] = []
        try:
            with (
                open_media(path, self._facts) as container,
                MediaFile(path, self._facts) as media,
            ):
                stream = container.streams[video.index]
                for seconds in times_seconds:
                    found = frame_at(media, seconds)
                    if found is not None:
                        pictures.append(
                            presented_jpeg(found.shown.frame, stream, rotation=video.rotation)
                        )
        except (av.error.FFmpegError, OSError) as error:
            raise MediaFailed(
                f"no frames of {path.name} can be decoded: {error}",
                remedy="Materialise 'video' for this partition again",
            ) from error
        return tuple(pictures)
