"""What lies in an inbox: in a folder, under a prefix of a bucket, or in a manifest.

A manifest lists sources, one a line, as CSV or JSON Lines:

    source,identifier,title,profile
    https://example.org/talk.webm,talk-2026,A talk,highlights
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import stat
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from videomoments_dagster.base.failures import (
    SettingsRejected,
    SourceRejected,
    SourceUnavailable,
    VideoMomentsError,
)
from videomoments_dagster.sources.google_transfer import (
    brief_reason,
    google_problem,
    is_google_answer,
    within,
)
from videomoments_dagster.sources.limits import Inbox, TransferLimits
from videomoments_dagster.sources.locations import (
    MEDIA_SUFFIXES,
    SourceKind,
    kind_of,
    normalise_location,
    parse_google_url,
)
from videomoments_dagster.sources.patience import Alive, patience_with

CAPTION_SUFFIXES = (".srt", ".vtt")
MANIFEST_FIELDS = ("source", "identifier", "title", "profile", "captions")

_MANIFEST_BYTES = 64 * 1024**2
_MANIFEST_LINES = 100_000
_TICK_SECONDS = 25.0
"""Dagster ends a tick after 60 s, with a sentence that says nothing of the bucket."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A source that lies in the inbox, or a line of the manifest.

    Attributes:
        location: Absolute path or URL; for a line that cannot be read, where that line is.
        state: Changes when its bytes may have changed: size and time, or generation.
        size_bytes: Size; None where it is not known without fetching.
        checksum: Of its bytes, with the name of its kind, where the listing gives one.
        captions: Caption file that came with it, if any.
        identifier: Wanted identifier, if the manifest gives one.
        title: Title, if the manifest gives one.
        profile: Generation profile, if the manifest gives one.
        problem: Why it cannot be taken in, where that is known already.
    """

    location: str
    state: str
    size_bytes: int | None = None
    checksum: str | None = None
    captions: str | None = None
    identifier: str | None = None
    title: str | None = None
    profile: str | None = None
    problem: str | None = None

    @property
    def key(self) -> str:
        """Names the arrival in the database, where locations are too long for an index."""
        return _hashed(self.location)


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def is_media_name(path: str) -> bool:
    """Whether a file of this name is taken in: a media suffix, and no part of its path hidden.

    Programs that copy write to hidden or otherwise named files first, and rename them at the end.
    """
    name = PurePosixPath(path)
    hidden = any(part.startswith(".") for part in name.parts)
    return name.suffix.lower() in MEDIA_SUFFIXES and not hidden


def captions_beside(path: str, present: Mapping[str, object]) -> str | None:
    """The caption file of the same name in the same folder, if there is one.

    The media file's suffix may stand before that of the captions, and an accent be a character of
    its own in one of the names.

    Args:
        path: Path of a media file, relative to the inbox.
        present: All paths of the inbox.
    """
    stem = path.removesuffix(PurePosixPath(path).suffix)
    names = (base + suffix for base in (path, stem) for suffix in CAPTION_SUFFIXES)
    spelled = (spelling for name in names for spelling in (name, *_spellings(name)))
    return next((name for name in spelled if name in present), None)


def _spellings(name: str) -> tuple[str, str]:
    return unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)


def list_folder(inbox: Inbox, *, now: float, settle_seconds: float) -> list[Arrival]:
    """List the media files in a folder and below it that are whole, in the order of their paths.

    Symbolic links to folders are not followed, and those to files only where they stay in the
    inbox or lead where it allows. A file is left for later while it, or the caption file
    beside it, was written to within the last `settle_seconds`, or is empty.

    Args:
        inbox: The folder.
        now: Seconds since 1970, by the clock that files are stamped with.
        settle_seconds: A file that nobody has written to for this long is taken to be whole.

    Raises:
        SourceUnavailable: The folder cannot be listed. That is not the same as an empty one.
    """
    root = inbox.root
    arrivals: list[Arrival] = []

    def note_unlisted(error: OSError) -> None:
        if Path(error.filename) == root:
            raise SourceUnavailable(
                f"the inbox {root} cannot be listed: {error.strerror or error}",
                remedy="Make the folder and let it be read, or set VIDEOMOMENTS_INBOX to another",
            ) from error
        if not isinstance(error, FileNotFoundError):
            problem = f"it cannot be listed: {error.strerror or error}"
            arrivals.append(Arrival(str(error.filename), state=str(error.errno), problem=problem))

    found: dict[str, os.stat_result] = {}
    for folder, below, names in os.walk(root, onerror=note_unlisted):
        below[:] = [name for name in below if not name.startswith(".")]
        for path in (Path(folder, name) for name in names):
            try:
                status = path.stat()
            except OSError:
                # Gone since it was listed, or a link that leads nowhere.
                continue
            if stat.S_ISREG(status.st_mode):
                found[path.relative_to(root).as_posix()] = status
    for relative in filter(is_media_name, sorted(found)):
        status, captions = found[relative], captions_beside(relative, found)
        names = [relative, captions] if captions else [relative]
        if all(
            found[name].st_size and found[name].st_mtime <= now - settle_seconds for name in names
        ):
            media, *beside = [(root / name).resolve() for name in names]
            outside = [
                name
                for name, path in zip(names, (media, *beside), strict=True)
                if not inbox.holds(path)
            ]
            arrivals.append(
                Arrival(
                    location=str(root.resolve() / relative if outside else media),
                    state=f"{status.st_size}|{status.st_mtime_ns}",
                    size_bytes=status.st_size,
                    captions=str(beside[0]) if beside else None,
                    problem=_leads_out(outside[0]) if outside else None,
                )
            )
    return arrivals


def _leads_out(name: str) -> str:
    return (
        f"{name} is a link that leads out of the inbox. Put the file itself there, or name the "
        "folder that it leads to in VIDEOMOMENTS_INBOX_LINKS."
    )


def list_bucket(url: str, *, client: Callable[[], Any]) -> list[Arrival]:
    """List the media objects under a prefix, in the order of their names.

    An object appears when it is whole, so that none has to be waited for.

    Args:
        url: `gs://bucket[/prefix]`; a prefix is a folder, so `videos` does not find `videos2/`.
        client: Gives a client of Google Cloud Storage.

    Raises:
        SettingsRejected: The address is malformed.
        SourceRejected: The bucket is missing, or it may not be listed.
        SourceUnavailable: It could not be listed just now. That is not an empty bucket.
    """
    address = parse_google_url(url)
    if address is None:
        raise SettingsRejected(
            f"the inbox {url} is no address of a bucket",
            remedy="Set VIDEOMOMENTS_INBOX to gs://bucket/prefix, or to a folder",
        )
    prefix = f"{address.path.rstrip('/')}/" if address.path else ""

    def listed(limits: TransferLimits, alive: Alive) -> dict[str, Any]:
        blobs = client().list_blobs(
            address.bucket,
            prefix=prefix or None,
            fields="items(name,size,generation,crc32c),nextPageToken",
            **limits.per_request,
        )
        found = {}
        for blob in blobs:
            alive()
            found[blob.name.removeprefix(prefix)] = blob
        return found

    try:
        found = _asked(address.bucket, listed)
    except Exception as error:
        match google_problem(error):
            case None:
                raise
            case "unavailable":
                raise SourceUnavailable(
                    f"the inbox {url} cannot be listed just now: {brief_reason(error)}"
                ) from error
        raise SourceRejected(
            f"the inbox {url} cannot be listed: {brief_reason(error)}",
            remedy="Check that the bucket exists and that the credentials may list it",
        ) from error
    return [
        Arrival(
            location=f"gs://{address.bucket}/{blob.name}",
            state=str(blob.generation),
            size_bytes=int(blob.size),
            checksum=f"crc32c:{blob.crc32c}" if blob.crc32c else None,
            captions=f"gs://{address.bucket}/{prefix}{captions}" if captions else None,
        )
        for relative, blob in sorted(found.items())
        if is_media_name(relative) and blob.size
        for captions in [captions_beside(relative, found)]
    ]


def _asked(bucket: str, work: Callable[[TransferLimits, Alive], T]) -> T:
    """Ask Google, for no longer than a tick has time."""
    patience = patience_with(f"gs://{bucket}", _TICK_SECONDS)
    limits = within(TransferLimits(), patience)
    return patience.call(lambda alive: work(limits, alive), is_answer=is_google_answer)


def manifest_text(location: str, *, client: Callable[[], Any]) -> str:
    """Read the file of a manifest.

    Args:
        location: A path, or a `gs://` URL.
        client: Gives a client of Google Cloud Storage.

    Raises:
        SourceUnavailable: It cannot be read just now, or is not there.
        SourceRejected: It is too large.
    """
    address = parse_google_url(location)
    try:
        if address is None:
            with Path(location).expanduser().open("rb") as file:
                content = file.read(_MANIFEST_BYTES + 1)
        else:
            blob = client().bucket(address.bucket).blob(address.path)
            content = _asked(
                address.bucket,
                lambda limits, _: blob.download_as_bytes(end=_MANIFEST_BYTES, **limits.per_request),
            )
    except OSError as error:
        raise SourceUnavailable(
            f"the manifest {location} cannot be read: {error.strerror or error}",
            remedy="Set VIDEOMOMENTS_INBOX_MANIFEST to a file that is there, or unset it",
        ) from error
    except Exception as error:
        if google_problem(error) is None:
            raise
        raise SourceUnavailable(
            f"the manifest {location} cannot be read: {brief_reason(error)}"
        ) from error
    if len(content) > _MANIFEST_BYTES:
        raise SourceRejected(
            f"the manifest {location} is larger than {_MANIFEST_BYTES // 1024**2} MiB",
            remedy="Split it; lines that were taken in already can go",
        )
    return content.decode("utf-8", errors="replace")


def read_manifest(text: str, *, name: str, folder: Path | None) -> list[Arrival]:
    """Read a manifest; a line that cannot be read becomes an arrival with a problem.

    A line counts as new when its source is new, or when what the line says of it has changed. Of
    several with one source the last counts.

    Args:
        text: The file's text.
        name: Its path or URL; `.jsonl` and `.ndjson` are JSON Lines, all else is CSV whose first
            line names the columns.
        folder: What relative paths in it are relative to; None where it may name no files of this
            machine.
    """
    as_json = name.lower().endswith((".jsonl", ".ndjson"))
    lines = (_json_lines if as_json else _csv_lines)(text.removeprefix("\ufeff"))
    arrivals = (
        _arrival(line, where=f"{name}#line {number}", folder=folder) for number, line in lines
    )
    return list({one.location: one for one in islice(arrivals, _MANIFEST_LINES)}.values())


def _csv_lines(text: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    reader = csv.DictReader(io.StringIO(text, newline=None), skipinitialspace=True)
    try:
        names = [(name or "").strip().lower() for name in reader.fieldnames or []]
        if text.strip() and "source" not in names:
            known = ", ".join(MANIFEST_FIELDS)
            yield 1, f"its first line names no column 'source'; known are {known}"
            return
        reader.fieldnames = names
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        yield reader.line_num, f"it is no valid CSV from here on: {error}"


def _json_lines(text: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = "it is no valid JSON"
            else:
                row = row if isinstance(row, dict) else "it is no JSON object"
            yield number, row


def _arrival(line: Mapping[str, Any] | str, *, where: str, folder: Path | None) -> Arrival:
    if isinstance(line, str):
        return Arrival(location=where, state=_hashed(line), problem=line)
    values = {
        field: str(value).strip()
        for field in MANIFEST_FIELDS
        if (value := line.get(field)) not in (None, "")
    }
    state = _hashed(json.dumps(values, sort_keys=True))
    captions = values.get("captions")
    if "source" not in values:
        return Arrival(location=where, state=state, problem="it names no source")
    try:
        for named in filter(None, (values["source"], captions)):
            if folder is None and kind_of(named) is SourceKind.LOCAL:
                problem = (
                    f"it names {named}, a file of this machine, which a list elsewhere may not"
                )
                return Arrival(location=where, state=state, problem=problem)
        cwd = folder or Path.cwd()
        return Arrival(
            location=normalise_location(values["source"], cwd=cwd),
            state=state,
            captions=captions if captions is None else normalise_location(captions, cwd=cwd),
            identifier=values.get("identifier"),
            title=values.get("title"),
            profile=values.get("profile"),
        )
    except VideoMomentsError as error:
        return Arrival(location=where, state=state, problem=str(error))
