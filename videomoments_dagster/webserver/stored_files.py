"""Files of the object store over HTTP: read only, by key, with ranges for players that seek.

They have the UI's origin, so none of them may run a script, or it could launch and delete runs. Of
what may hold one, only pages are shown, with the script of this release; film, sound, pictures and
text are what they are called, and anything else is a download.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Collection, Iterator
from operator import attrgetter
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import (
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)

from videomoments_dagster.base.failures import ObjectStoreRefused, VideoMomentsError
from videomoments_dagster.core.objects.store import ObjectStat, ObjectStore
from videomoments_dagster.webserver.guard import App, Receive, Scope, Send

_BLOCK_BYTES: Final = 1024**2
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_METHODS = ("GET", "HEAD")
# A browser shows film, sound and pictures in a document of its own making.
_MEDIA_POLICY = (
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; "
    "frame-ancestors 'self'"
)
_NO_POLICY = "sandbox; default-src 'none'"
_TEXT = {"json", "jsonl", "txt", "srt", "vtt"}
# Python knows them only where the system has a list of its own.
_MEDIA = {
    "mp4": "video/mp4",
    "m4v": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "mkv": "video/x-matroska",
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "ogg": "audio/ogg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "webp": "image/webp",
}


class StoredFiles:
    """Objects at `/objects/<key>`, and the app for everything else."""

    def __init__(
        self,
        app: App,
        store: ObjectStore,
        *,
        paths: Collection[str],
        folders: Collection[str],
        pages: str,
        page_policy: str,
    ) -> None:
        """Serve a store.

        Args:
            app: What answers everything else.
            store: Whose objects.
            paths: What paths of objects begin with; the key follows.
            folders: Folders of the store whose objects are served; of others, nothing is.
            pages: The one of them that has pages of our own.
            page_policy: Content security policy that those are served with.
        """
        self._app = app
        self._store = store
        self._paths = tuple(paths)
        self._folders = tuple(f"{folder}/" for folder in folders)
        self._pages = f"{pages}/"
        self._page_policy = page_policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI has it."""
        path = scope["path"] if scope["type"] == "http" else ""
        at = next(filter(path.startswith, self._paths), None)
        if at is None:
            await self._app(scope, receive, send)
        elif scope["method"] not in _METHODS:
            allowed = {"Allow": ", ".join(_METHODS)}
            refused = PlainTextResponse("Files are only read.\n", 405, headers=allowed)
            await refused(scope, receive, send)
        else:
            key, headers = path.removeprefix(at), Headers(scope=scope)
            answer = await run_in_threadpool(self._answer, key, scope["method"], headers)
            await answer(scope, receive, send)

    def _answer(self, key: str, method: str, headers: Headers) -> Response:
        try:
            is_served = key.startswith(self._folders)
            found = self._store.stat(self._store.url_of(key)) if is_served else None
            if found is None and (newer := self._newest_page(key)):
                return RedirectResponse(newer.rpartition("/")[2])
        except (ValueError, ObjectStoreRefused):
            # No key, or a link that leads out of the store.
            found = None
        except VideoMomentsError as failure:
            return PlainTextResponse(f"{failure}\n", 503)
        if found is None:
            return PlainTextResponse("There is no such file.\n", 404)
        shown = self._headers(key)
        if shown["ETag"] in headers.get("if-none-match", ""):
            return Response(status_code=304, headers=shown)
        part, status = range(found.size_bytes), 200
        # An `If-Range` of other bytes asks for the whole.
        if method == "GET" and headers.get("if-range") in (None, shown["ETag"]):
            asked = asked_range(headers.get("range", ""), size_bytes=found.size_bytes)
            if asked is not None:
                if not asked:
                    size = {"Content-Range": f"bytes */{found.size_bytes}"}
                    return PlainTextResponse("It is not that long.\n", 416, headers=size)
                part, status = asked, 206
                last = part.stop - 1
                shown["Content-Range"] = f"bytes {part.start}-{last}/{found.size_bytes}"
        shown["Content-Length"] = str(len(part))
        body = self._blocks(found, part) if method == "GET" else iter(())
        return StreamingResponse(body, status, headers=shown)

    def _newest_page(self, key: str) -> str | None:
        """Key of the page in the place of one that is gone, as others were stored after it."""
        folder, _, _ = key.rpartition("/")
        if not folder.startswith(self._pages):
            return None
        pages = [one for one in self._store.list(folder) if one.written_at is not None]
        return max(pages, key=attrgetter("written_at")).key if pages else None

    def _blocks(self, found: ObjectStat, part: range) -> Iterator[bytes]:
        for start in part[::_BLOCK_BYTES]:
            length = min(_BLOCK_BYTES, part.stop - start)
            yield self._store.read_range(found.url, start=start, length=length)

    def _headers(self, key: str) -> dict[str, str]:
        extension = key.rpartition(".")[2].lower()
        is_page = extension == "html" and key.startswith(self._pages)
        shown_as = "text/html; charset=utf-8" if is_page else _shown_as(extension)
        is_media = shown_as is not None and not shown_as.startswith("text/")
        policy = _MEDIA_POLICY if is_media else _NO_POLICY
        return {
            "Content-Type": shown_as or "application/octet-stream",
            "Content-Disposition": "inline" if shown_as else "attachment",
            "Content-Security-Policy": self._page_policy if is_page else policy,
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, max-age=3600",
            # A key never holds other bytes.
            "ETag": f'"{key.rpartition("/")[2]}"',
        }


def asked_range(header: str, *, size_bytes: int) -> range | None:
    """The bytes that a header `Range` asks for; empty where none of them are there.

    None for the whole: HTTP has that answer for several ranges at once too, and for what cannot be
    read.

    Args:
        header: Its value, such as "bytes=0-99", "bytes=100-" or "bytes=-100"; empty for none.
        size_bytes: Size of the file.
    """
    found = _RANGE.fullmatch(header.replace(" ", ""))
    first, last = found.groups() if found else ("", "")
    if not first and not last:
        return None
    if not first:
        return range(max(0, size_bytes - int(last)), size_bytes)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size_bytes) if last else size_bytes)


def _shown_as(extension: str) -> str | None:
    """MIME type of a file that a browser may show as what its name says; None for a download."""
    if extension in _TEXT:
        return "text/plain; charset=utf-8"
    guessed = _MEDIA.get(extension) or mimetypes.guess_type(f"x.{extension}")[0] or ""
    # An SVG is a document, with scripts.
    is_media = guessed.startswith(("video/", "audio/", "image/")) and "svg" not in guessed
    return guessed if is_media else None
