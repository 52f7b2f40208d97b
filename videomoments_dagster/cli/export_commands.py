"""The commands that write what is stored into files: `export` and `report`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click

from db.session import Database
from videomoments_dagster.base.failures import (
    ExportRefused,
    MediaFailed,
    ObjectMissing,
    ObjectStoreRefused,
    ResultMissing,
    ScratchExhausted,
    SettingsRejected,
)
from videomoments_dagster.base.files import replaced_whole
from videomoments_dagster.base.identifiers import checked_identifier
from videomoments_dagster.cli.context import CommandContext
from videomoments_dagster.cli.video_commands import known_video
from videomoments_dagster.core.objects.store import ObjectStat, ObjectStore
from videomoments_dagster.media.stills import LONGEST_SMALL_SIDE, small_jpeg
from videomoments_dagster.moments.exports.formats import FORMATS
from videomoments_dagster.moments.exports.material import BOUNDARIES, Boundaries, material_of
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
from videomoments_dagster.moments.reading import read_video
from videomoments_dagster.moments.stored_videos import StoredVideo

MediaUse = Literal["link", "copy", "embed"]

MOST_EMBEDDED_BYTES = 100 * 1000**2
_POSTER_SIDE = 640


@click.command()
@click.argument("identifier")
@click.option(
    "--format",
    "name",
    type=click.Choice(list(FORMATS)),
    required=True,
    help="; ".join(f"{name}: {one.what}" for name, one in FORMATS.items()) + ".",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File to write, once it is whole; standard output without it.",
)
@click.option(
    "--what",
    type=click.Choice(list(BOUNDARIES)),
    help="Boundaries of edl, otio and chapters. "
    + "; ".join(f"{name}: {what}" for name, what in BOUNDARIES.items())
    + ". Default: refined.",
)
@click.option(
    "--media",
    metavar="PATH",
    help="File that edl and otio name, such as the copy on the editor's disk; without it the "
    "stored one.",
)
@click.option(
    "--frame-rate",
    type=click.FloatRange(min=1, max=240.0),
    help="Frames per second that edl and otio count in; without it the video's own.",
)
@click.pass_obj
def export(
    context: CommandContext, /, identifier: str, name: str, output: Path | None, **options: Any
) -> None:
    """Write the video IDENTIFIER for the tools that people already use.

    \b
    Examples:
      videomoments export talk --format csv --output talk.csv
      videomoments export talk --format srt --output talk.srt
      videomoments export talk --format otio --media /footage/talk.mp4 --output talk.otio
      videomoments export talk --format chapters
    """
    chosen = FORMATS[name]
    for option, value in options.items():
        has_meaning = chosen.has_boundaries if option == "what" else chosen.counts_frames
        if value is not None and not has_meaning:
            flag = f"--{option.replace('_', '-')}"
            raise click.UsageError(f"{flag} says nothing for the format {name}.")
    boundaries: Boundaries = options.pop("what") or "refined"
    known = known_video(context.database, identifier)
    material = material_of(known, boundaries=boundaries, **options)
    content = chosen.write(material).encode("utf-8", "replace")
    if output is None:
        sys.stdout.buffer.write(content)
        return
    try:
        with replaced_whole(output) as part:
            part.write_bytes(content)
    except OSError as error:
        raise ExportRefused(
            f"{output} cannot be written: {error.strerror}",
            remedy="Choose another place with --output, or make its folder writable",
        ) from error
    click.echo(f"Wrote {output}.", err=True)


@click.command()
@click.argument("identifier")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="File to write, replaced if it is there; IDENTIFIER.html if not given.",
)
@click.option(
    "--media",
    type=click.Choice(["link", "copy", "embed"]),
    default="link",
    show_default=True,
    help="`link`: the page plays the stored files of this machine, from where they are. "
    "`copy`: the video and its clips are copied into a folder beside the page, which can be "
    "moved with it. `embed`: the clips, at most 100 MB of them, go into the page itself, which "
    "can be sent alone.",
)
@click.pass_obj
def report(context: CommandContext, identifier: str, output: Path | None, media: MediaUse) -> None:
    """Write a page of the video IDENTIFIER: player, timeline, moments, transcript, clips.

    One HTML file that any browser opens from the disk, without network. Where the whole video
    cannot be played, the page plays the clips. What is in a bucket has to be copied or
    embedded.

    \b
    Examples:
      videomoments report talk
      videomoments report talk --media embed --output ~/talk.html
      videomoments report talk --media copy --output site/talk.html
    """
    output = output or Path(f"{identifier}.html")
    written = write_report(context.database, context.store, identifier, output=output, media=media)
    click.echo(f"{written.path} ({written.size_bytes / 1024:.0f} KiB)")
    if written.media_folder is not None:
        click.echo(f"Its media are in {written.media_folder}; keep them together.")
    for note in written.notes:
        click.echo(note, err=True)


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
    media_folder: Path | None
    notes: tuple[str, ...]


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
    if output.is_dir():
        raise SettingsRejected(
            f"{output} is a folder", remedy=f"Name a file: --output '{output / 'page.html'}'"
        )
    if not output.parent.is_dir():
        raise SettingsRejected(
            f"there is no folder {output.parent}", remedy=f"Make it: mkdir -p '{output.parent}'"
        )
    with database.read() as session:
        records = read_video(session, identifier)
    if not isinstance(records, StoredVideo):
        raise ResultMissing(
            f"nothing is stored of a video '{identifier}'",
            remedy=f"See `videomoments list`, then `videomoments run {identifier}`",
        )
    whole, clips = records.video.cloud_url, records.clips
    names = {whole: identifier} | {clips[m].cloud_url: n for m, n in clip_names(records).items()}
    found = {url: stat for url in names if (stat := _stat(store, url)) is not None}
    pictures = _thumbnails(store, records)
    folder, notes, large = None, [], {}
    match media:
        case "link":
            paths = {url: store.local_path(url) for url in found}
            plays = {url: address_between(output, path) for url, path in paths.items() if path}
            seen = {url: store.local_path(url) for url in pictures}
            large = {url: address_between(output, path) for url, path in seen.items() if path}
            if found and not plays:
                notes.append(
                    f"The media are in {store.root_url}, where a page cannot play them from. "
                    f"`videomoments report {identifier} --media copy` puts them beside it."
                )
        case "copy":
            folder = output.with_name(f"{output.stem}-media")
            plays = _copied(store, found, names, folder)
            large = _copied(store, pictures, dict.fromkeys(pictures, "picture"), folder)
        case "embed":
            plays = _embedded(store, identifier, {u: s for u, s in found.items() if u != whole})
            large = {u: data_address("image/jpeg", _read(store, s)) for u, s in pictures.items()}
    contents = PageContents(
        records,
        video_address=plays.get(whole),
        clip_addresses={m: plays[c.cloud_url] for m, c in clips.items() if c.cloud_url in plays},
        pictures=_pictures(store, records, pictures, large),
        media_note="".join(notes),
    )
    content = page_html(contents).encode()
    with _writing_errors(output), replaced_whole(output) as part:
        part.write_bytes(content)
    if gone := len(names) - len(found):
        notes.append(
            f"{gone} of {len(names)} media files are gone from the object store; "
            f"`videomoments run {identifier}` makes them again."
        )
    return Report(output, len(content), folder, tuple(notes))


def _stat(store: ObjectStore, url: str) -> ObjectStat | None:
    try:
        return store.stat(url)
    except ObjectStoreRefused:
        # It was stored under another root.
        return None


def _copied(
    store: ObjectStore, found: Mapping[str, ObjectStat], names: Mapping[str, str], folder: Path
) -> dict[str, Address]:
    """Copy media into a folder beside the page, by readable names; what is there already stays."""
    with _writing_errors(folder):
        folder.mkdir(exist_ok=True)
    copied = {}
    for url, stat in found.items():
        # Its hash in the name makes a file that is there the right one.
        digest = Path(stat.key).stem.rpartition("-")[2][:8]
        target = folder / f"{Path(names[url]).stem}-{digest}{Path(stat.key).suffix}"
        with _writing_errors(target):
            if not target.exists() or target.stat().st_size != stat.size_bytes:
                store.fetch(url, to=target)
        copied[url] = relative_address([folder.name, target.name])
    return copied


def _embedded(
    store: ObjectStore, video: str, clips: Mapping[str, ObjectStat]
) -> dict[str, Address]:
    size = sum(stat.size_bytes for stat in clips.values())
    if size > MOST_EMBEDDED_BYTES:
        raise SettingsRejected(
            f"the {len(clips)} clips of '{video}' take {size / 1000**2:.0f} MB, and at most "
            f"{MOST_EMBEDDED_BYTES / 1000**2:.0f} MB go into one page",
            remedy="Use --media copy, and send the folder with the page",
        )
    return {url: data_address("video/mp4", _read(store, stat)) for url, stat in clips.items()}


def _read(store: ObjectStore, stat: ObjectStat) -> bytes:
    return store.read_range(stat.url, start=0, length=stat.size_bytes)


def _thumbnails(store: ObjectStore, records: StoredVideo) -> dict[str, ObjectStat]:
    """The stored thumbnails that are there, by their addresses."""
    urls = [one.cloud_url for one in records.thumbnails.values()]
    return {url: stat for url in urls if (stat := _stat(store, url)) is not None}


def _pictures(
    store: ObjectStore,
    records: StoredVideo,
    found: Mapping[str, ObjectStat],
    large: Mapping[str, Address],
) -> dict[str | None, Picture]:
    """Make small copies of the thumbnails; one that cannot be read is left out."""
    pictures: dict[str | None, Picture] = {}
    for moment, thumbnail in records.thumbnails.items():
        url, side = thumbnail.cloud_url, _POSTER_SIDE if moment is None else LONGEST_SMALL_SIDE
        if stat := found.get(url):
            with suppress(MediaFailed, ObjectMissing):
                small, width, height = small_jpeg(_read(store, stat), longest_side=side)
                address = data_address("image/jpeg", small)
                pictures[moment] = Picture(address, width, height, large.get(url))
    return pictures


@contextmanager
def _writing_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ScratchExhausted) as error:
        why = error.strerror if isinstance(error, OSError) else error.reason
        raise SettingsRejected(
            f"{path} cannot be written: {why}",
            remedy="Make room there, or name another place with --output",
        ) from error
