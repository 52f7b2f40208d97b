"""Stored objects as local files, for steps that read media.

No future import of annotations here: Dagster reads them when it makes the class.
"""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import dagster as dg

from videomoments_dagster.base.files import scratch_errors
from videomoments_dagster.core.resources import ObjectStoreResource, ScratchResource
from videomoments_dagster.media.byte_ranges import ByteRange, NoIndex, index_ranges, stretch_ranges
from videomoments_dagster.media.container import MP4
from videomoments_dagster.media.facts import MediaFacts

_WORTH_IT_BYTES = 32 * 1024**2
_WORTH_IT_SHARE = 0.6
_PIECE_BYTES = 8 * 1024**2
_REQUESTS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class LocalStretches:
    """A local file to cut from.

    Attributes:
        path: The file.
        is_whole: Whether all of it is there; else only what was asked for, with holes between.
    """

    path: Path
    is_whole: bool


class MediaResource(dg.ConfigurableResource[Any]):
    """Stored objects as local files: in place where they are local, else fetched into scratch.

    Reads objects, of long MP4 files only the stretches that are cut; writes into the run's scratch
    folder. If it fails, an object is gone (materialise the asset that it belongs to), the store is
    away, or the scratch disk is full.
    """

    object_store: dg.ResourceDependency[ObjectStoreResource]
    scratch: dg.ResourceDependency[ScratchResource]

    def local_file(self, url: str) -> Path:
        """A readable file with the object's bytes; steps of one run share a fetched one.

        Raises:
            ObjectMissing: If there is no such object.
            ObjectStoreUnavailable: If it could not be fetched.
        """
        store = self.object_store.store
        in_place = store.local_path(url)
        if in_place is not None:
            return in_place
        fetched = self._place(url)
        return fetched if fetched.exists() else store.fetch(url, to=fetched)

    def local_stretches(
        self, url: str, facts: MediaFacts, stretches: Sequence[tuple[float, float]]
    ) -> LocalStretches:
        """A readable file that serves for cutting some stretches of a stored video.

        Where the object is far away, large, and an MP4, only its index and the bytes of those
        stretches are fetched, into a sparse file of the same size.

        Args:
            url: Address of the stored video.
            facts: Its probe.
            stretches: Presented start and end of each, seconds.

        Raises:
            ObjectMissing: If there is no such object.
            ObjectStoreUnavailable: If it could not be fetched.
        """
        store = self.object_store.store
        whole = store.local_path(url) or self._place(url)
        far = not whole.exists()
        if not far or facts.container != MP4 or facts.size_bytes < _WORTH_IT_BYTES:
            return LocalStretches(self.local_file(url), is_whole=True)
        sparse = whole.with_name(f"stretches-{whole.name}")
        try:
            self._fetch_ranges(
                url, sparse, index_ranges(partial(self._read, url), facts.size_bytes), facts
            )
            needed = stretch_ranges(sparse, facts, stretches)
            if sum(one.end - one.start for one in needed) > facts.size_bytes * _WORTH_IT_SHARE:
                return LocalStretches(self.local_file(url), is_whole=True)
            self._fetch_ranges(url, sparse, needed, facts)
        except NoIndex:
            return LocalStretches(self.local_file(url), is_whole=True)
        return LocalStretches(sparse, is_whole=False)

    def _read(self, url: str, start: int, length: int) -> bytes:
        return self.object_store.store.read_range(url, start=start, length=length)

    def _fetch_ranges(
        self, url: str, to: Path, ranges: Sequence[ByteRange], facts: MediaFacts
    ) -> None:
        pieces = [
            (start, min(start + _PIECE_BYTES, one.end) - start)
            for one in ranges
            for start in range(one.start, one.end, _PIECE_BYTES)
        ]
        with scratch_errors(to), to.open("r+b" if to.exists() else "w+b") as file:
            file.truncate(facts.size_bytes)

            def fetch(piece: tuple[int, int]) -> None:
                start, length = piece
                os.pwrite(file.fileno(), self._read(url, start, length), start)

            with ThreadPoolExecutor(max_workers=_REQUESTS_AT_ONCE) as pool:
                for _ in pool.map(fetch, pieces):
                    pass

    def _place(self, url: str) -> Path:
        name = hashlib.sha256(url.encode()).hexdigest()[:16] + PurePosixPath(url).suffix
        return self.scratch.subfolder("fetched") / name
