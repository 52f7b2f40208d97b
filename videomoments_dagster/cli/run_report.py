"""A video's page as a file, with its media linked, copied or embedded.

Belongs here: which media the page gets and how, and writing it. Does not belong here: what the
page looks like (`videomoments_dagster.moments.page`), options and words (`report_command`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from db.session import Database
from videomoments_dagster.base.failures import (
    MediaFailed,
    ObjectMissing,
    ObjectStoreRefused,
    ResultMissing,
    ScratchExhausted,
    SettingsRejected,
)
from videomoments_dagster.base.files import part_path, removed_afterwards
from videomoments_dagster.base.identifiers import checked_identifier
from videomoments_dagster.core.objects.store import ObjectStat, ObjectStore
from videomoments_dagster.media.small_jpegs import LONGEST_SIDE, small_jpeg
from videomoments_dagster.moments.page.page import (
    PageContents,
    Picture,
    clip_names,
    page_html,
)
from videomoments_dagster.moments.page.page_addresses import (
    Address,
    address_between,
    data_address,
    relative_address,
)
from videomoments_dagster.moments.reading import StoredVideo, read_video

MediaUse = Literal["link", "copy", "embed"]

MOST_EMBEDDED_BYTES = 100 * 1000**2
_BYTES_PER_MEGABYTE = 1000**2
_HASH_CHARACTERS = 8
_POSTER_SIDE = 640


@dataclass(frozen=True, slots=True)
class Report:
    """A page that was written.

    Attributes:
        path: The page.
        size_bytes: Its size.
        media_folder: Folder of copied media, if any were.
        notes: What the reader of the command's output should know, as sentences.
    """

    path: Path
    size_bytes: int
    media_folder: Path | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Media:
    """Where the page plays from."""

    video: Address | None = None
    clips: Mapping[str, Address] = field(default_factory=dict)
    note: str = ""
    folder: Path | None = None


def write_report(
    database: Database, store: ObjectStore, identifier: str, *, output: Path, media: MediaUse
) -> Report:
    """Write the page of a video.

    Args:
        database: Our database.
        store: Where its media are.
        identifier: The video.
        output: File to write; one that is there is replaced.
        media: `link` refers to stored files of this machine, `copy` puts copies of the video and
            its clips into a folder beside the page, `embed` puts the clips into the page itself.

    Raises:
        IdentifierRejected: That is no identifier.
        ResultMissing: The video was never materialised.
        SettingsRejected: The file cannot be written there, or the clips are too large to embed.
        ObjectStoreUnavailable: Media could not be read.
        DatabaseProblem: The database was lost or refused.
    """
    checked_identifier(identifier)
    output = Path(os.path.abspath(output))  # noqa: PTH100 - as it is written, links and all
    _refuse_unwritable(output)
    with database.read() as session:
        records = read_video(session, identifier)
    if not isinstance(records, StoredVideo):
        raise ResultMissing(
            f"nothing is stored of a video '{identifier}'",
            remedy=f"See `videomoments list`, then `videomoments run {identifier}`",
        )
    urls = [records.video.cloud_url, *(clip.cloud_url for clip in records.clips.values())]
    found = {url: stat for url in urls if (stat := _stat(store, url)) is not None}
    gone = len(urls) - len(found)
    use = {"link": _linked, "copy": _copied, "embed": _embedded}[media]
    playing = use(store, records, found, output)
    contents = PageContents(
        records,
        video_address=playing.video,
        clip_addresses=playing.clips,
        pictures=_pictures(store, records),
        media_note=playing.note,
    )
    content = page_html(contents).encode()
    with _writing_errors(output), removed_afterwards(part_path(output)) as part:
        part.write_bytes(content)
        part.replace(output)
    notes = [playing.note] if playing.note else []
    if gone:
        notes.append(
            f"{gone} of {len(urls)} media files are gone from the object store; "
            f"`videomoments run {identifier}` makes them again."
        )
    return Report(
        path=output, size_bytes=len(content), media_folder=playing.folder, notes=tuple(notes)
    )


def _stat(store: ObjectStore, url: str) -> ObjectStat | None:
    try:
        return store.stat(url)
    except ObjectStoreRefused:
        # It was stored under another root.
        return None


def _linked(
    store: ObjectStore, records: StoredVideo, found: Mapping[str, ObjectStat], output: Path
) -> _Media:
    def linked(url: str) -> Address | None:
        path = store.local_path(url) if url in found else None
        return None if path is None else address_between(output, path)

    video = linked(records.video.cloud_url)
    clips = _present({m: linked(clip.cloud_url) for m, clip in records.clips.items()})
    note = ""
    if found and video is None and not clips:
        note = (
            f"The media are in {store.root_url}, where a page cannot play them from. "
            f"`videomoments report {records.video.identifier} --media copy` puts them beside it."
        )
    return _Media(video=video, clips=clips, note=note)


def _copied(
    store: ObjectStore, records: StoredVideo, found: Mapping[str, ObjectStat], output: Path
) -> _Media:
    folder = output.with_name(f"{output.stem}-media")
    with _writing_errors(folder):
        folder.mkdir(exist_ok=True)

    def copied(url: str, name: str) -> Address | None:
        stat = found.get(url)
        if stat is None:
            return None
        # Its hash in the name makes a file that is there the right one.
        of_bytes = Path(stat.key).stem.rpartition("-")[2][:_HASH_CHARACTERS]
        target = folder / f"{Path(name).stem}-{of_bytes}{Path(stat.key).suffix}"
        with _writing_errors(target):
            if not target.exists() or target.stat().st_size != stat.size_bytes:
                store.fetch(url, to=target)
        return relative_address([folder.name, target.name])

    names = clip_names(records)
    return _Media(
        video=copied(records.video.cloud_url, records.video.identifier),
        clips=_present({m: copied(clip.cloud_url, names[m]) for m, clip in records.clips.items()}),
        folder=folder,
    )


def _embedded(
    store: ObjectStore,
    records: StoredVideo,
    found: Mapping[str, ObjectStat],
    output: Path,  # noqa: ARG001 - as the others
) -> _Media:
    stats = {m: found.get(clip.cloud_url) for m, clip in records.clips.items()}
    present = {moment: stat for moment, stat in stats.items() if stat is not None}
    size = sum(stat.size_bytes for stat in present.values())
    if size > MOST_EMBEDDED_BYTES:
        raise SettingsRejected(
            f"the {len(present)} clips of '{records.video.identifier}' take "
            f"{size / _BYTES_PER_MEGABYTE:.0f} MB, and at most "
            f"{MOST_EMBEDDED_BYTES / _BYTES_PER_MEGABYTE:.0f} MB go into one page",
            remedy="Use --media copy, and send the folder with the page",
        )
    return _Media(
        clips={
            moment: data_address(
                "video/mp4", store.read_range(stat.url, start=0, length=stat.size_bytes)
            )
            for moment, stat in present.items()
        }
    )


def _present(addresses: Mapping[str, Address | None]) -> dict[str, Address]:
    return {moment: address for moment, address in addresses.items() if address is not None}


def _pictures(store: ObjectStore, records: StoredVideo) -> dict[str | None, Picture]:
    """Make small copies of the thumbnails; one that cannot be read is left out."""
    pictures: dict[str | None, Picture] = {}
    for moment, thumbnail in records.thumbnails.items():
        stat = _stat(store, thumbnail.cloud_url)
        if stat is None:
            continue
        try:
            content = store.read_range(stat.url, start=0, length=stat.size_bytes)
            small, width, height = small_jpeg(
                content, longest_side=_POSTER_SIDE if moment is None else LONGEST_SIDE
            )
        except (MediaFailed, ObjectMissing):
            continue
        pictures[moment] = Picture(data_address("image/jpeg", small), width, height)
    return pictures


def _refuse_unwritable(output: Path) -> None:
    if output.is_dir():
        raise SettingsRejected(
            f"{output} is a folder", remedy=f"Name a file: --output '{output / 'page.html'}'"
        )
    if not output.parent.is_dir():
        raise SettingsRejected(
            f"there is no folder {output.parent}", remedy=f"Make it: mkdir -p '{output.parent}'"
        )


@contextmanager
def _writing_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ScratchExhausted) as error:
        why = error.strerror if isinstance(error, OSError) else str(error.reason)
        raise SettingsRejected(
            f"{path} cannot be written: {why}",
            remedy="Make room there, or name another place with --output",
        ) from error
