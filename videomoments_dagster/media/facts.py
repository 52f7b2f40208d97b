"""What probing finds in a media file.

Times are seconds on the *presented timeline* of the file. Its 0 is what players show as 0: the
first picture or the first sound that is presented, whichever comes earlier. Where sound comes
earlier, the first picture is held from 0 on. Chromium's `currentTime` and ffmpeg's own
`start_time` agree on that for MP4 with and without edit lists, Matroska, FLV and transport streams.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VideoStream:
    """The picture stream that is worked on (the first that is not cover art).

    Attributes:
        index: Index of the stream in its container.
        codec: ffmpeg's codec name, such as "h264".
        width: Presented width in pixels: rotation applied, non-square pixels kept as coded.
        height: Presented height in pixels, as above.
        rotation: Clockwise rotation in degrees that a player applies: 0, 90, 180 or 270.
        frame_rate: Average frames per second; None where the container does not say.
        start_seconds: Container time of the first presented frame, seconds.
        time_base: Denominator of the stream's clock, ticks per second (90000, 12800, ...).
    """

    index: int
    codec: str
    width: int
    height: int
    rotation: int
    frame_rate: float | None
    start_seconds: float
    time_base: int

    @property
    def resolution(self) -> str:
        """Width and height as presented, such as "1080x1920"."""
        return f"{self.width}x{self.height}"


@dataclass(frozen=True, slots=True)
class AudioStream:
    """The sound stream that is worked on (the default one, else the first; see `media.tracks`).

    Attributes:
        index: Index of the stream in its container.
        codec: ffmpeg's codec name, such as "aac".
        sample_rate: Samples per second.
        channels: Number of channels.
        start_seconds: Container time of the first sample, seconds.
    """

    index: int
    codec: str
    sample_rate: int
    channels: int
    start_seconds: float


@dataclass(frozen=True, slots=True)
class SoundTrack:
    """A sound stream as people choose it.

    Attributes:
        number: Its place among the sound streams of the file, from 1, as players count them.
        index: Index of the stream in its container.
        codec: ffmpeg's codec name.
        language: ISO 639 code as tagged, or None.
    """

    number: int
    index: int
    codec: str
    language: str | None


@dataclass(frozen=True, slots=True)
class SubtitleStream:
    """A text subtitle stream inside the container.

    Attributes:
        index: Index of the stream in its container.
        codec: ffmpeg's codec name, such as "mov_text", "subrip" or "webvtt".
        language: ISO 639 code as tagged, or None.
        is_default: Whether players show it by themselves.
        is_forced: Whether it holds only what must be read, such as signs.
        number: Its place among all subtitle streams of the file, from 1, as players count them.
    """

    index: int
    codec: str
    language: str | None
    is_default: bool = False
    is_forced: bool = False
    number: int = 0


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What probing found in a media file.

    Attributes:
        container: ffmpeg's demuxer name, such as "mov,mp4,m4a,3gp,3g2,mj2".
        duration_seconds: Presented duration, measured from the packets where the header and the
            data disagree.
        size_bytes: Size of the file.
        video: The picture stream, or None for audio only (cover art does not count).
        audio: The sound stream, or None.
        origin_seconds: Container time in seconds that is 0 on the presented timeline.
        subtitles: Text subtitle streams in container order.
        claimed_seconds: What the header says the duration is, where that is far too much.
        silent_streams: Indexes of sound streams that were passed over, since all is silent in them.
        sound_tracks: All sound streams in container order.
        sound_is_chosen: Whether somebody chose the sound stream.
        has_unknown_sound: Whether there is sound that is left aside, in a codec that nothing here
            knows.
        ignore_edit_list: Whether the container's edit list contradicts its data and every reader
            must pass over it (`media.ffmpeg.input_options` does).
    """

    container: str
    duration_seconds: float
    size_bytes: int
    video: VideoStream | None
    audio: AudioStream | None
    origin_seconds: float = 0.0
    subtitles: tuple[SubtitleStream, ...] = ()
    ignore_edit_list: bool = False
    claimed_seconds: float | None = None
    has_unknown_sound: bool = False
    silent_streams: tuple[int, ...] = ()
    sound_tracks: tuple[SoundTrack, ...] = ()
    sound_is_chosen: bool = False

    @property
    def streams(self) -> tuple[VideoStream | AudioStream, ...]:
        """The picture and the sound stream, as far as there are any."""
        return tuple(stream for stream in (self.video, self.audio) if stream is not None)

    @property
    def earliest_seconds(self) -> float:
        """Container time in seconds of the first picture or sound, whichever is earlier."""
        return min((one.start_seconds for one in self.streams), default=0.0)

    @property
    def pictures_start(self) -> float:
        """Presented time in seconds of the first picture; 0 without any."""
        return self.video.start_seconds - self.origin_seconds if self.video else 0.0
