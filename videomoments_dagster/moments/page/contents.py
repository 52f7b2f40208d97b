"""What a page shows.

Belongs here: frozen values, complete: the same value gives the same page. Does not belong here:
how they are read or drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from videomoments_dagster.moments.page.page_addresses import Address
from videomoments_dagster.moments.records import Clip, Moment, Video
from videomoments_dagster.speech.transcript import Transcript


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a clip or of the video.

    Attributes:
        address: Where its bytes are.
        width: In pixels.
        height: In pixels.
    """

    address: Address
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class PageContents:
    """All that one page shows.

    Attributes:
        video: The video.
        transcript: What is said in it; None where there is none yet.
        moments: Root moments in time order.
        refined: Refined moments by the root that they refine.
        clips: Clips by their root moment.
        video_address: Where the page plays the whole video from; None to play its clips.
        clip_addresses: Where the page plays clips from, by root moment.
        clip_names: What clips are called when they are saved, by root moment.
        pictures: Small pictures, by root moment; None for the video itself.
        media_note: What a reader should know of the media, such as how to get them; may be empty.
    """

    video: Video
    transcript: Transcript | None = None
    moments: tuple[Moment, ...] = ()
    refined: Mapping[str, Moment] = field(default_factory=dict)
    clips: Mapping[str, Clip] = field(default_factory=dict)
    video_address: Address | None = None
    clip_addresses: Mapping[str, Address] = field(default_factory=dict)
    clip_names: Mapping[str, str] = field(default_factory=dict)
    pictures: Mapping[str | None, Picture] = field(default_factory=dict)
    media_note: str = ""

    @property
    def plays(self) -> bool:
        """Whether there is anything to play."""
        return self.video_address is not None or bool(self.clip_addresses)
