"""`videomoments gc` over 100,000 objects and as many rows: time and memory of the whole command.

    python benchmarks/garbage.py

Belongs here: that one measurement. A tenth of the objects has no row and is old enough to go.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

from installation import Installation, installation
from sqlalchemy import text

OBJECTS = 100_000
VIDEOS = 1_000
ORPHANS = 10_000
_OLD = 1_700_000_000

_VIDEOS = """
INSERT INTO videos (identifier, cloud_url)
SELECT 'video-' || v, :root || '/videos/video-' || v || '/' || lpad(v::text, 64, '0') || '.mp4'
FROM generate_series(1, :videos) v
"""
_SOURCES = """
INSERT INTO pipeline.sources (identifier, location)
SELECT identifier, '/archive/' || identifier || '.mp4' FROM videos
"""
_PROMPTS = "INSERT INTO prompts (user_prompt, system_prompt, prompt_hash) VALUES ('u', 's', 'h')"
_CONFIGS = """
INSERT INTO generation_configs (prompt_id, model, operation_type, config_hash)
SELECT id, 'extractive', 'generation', 'c' FROM prompts
"""
_MOMENTS = """
INSERT INTO moments (identifier, title, video_id, start_time, end_time, generation_config_id)
SELECT 'm' || v.id || '-' || n, 'A moment', v.id, n, n + 1, c.id
FROM videos v, generate_series(1, :each) n, generation_configs c
"""
_CLIPS = """
INSERT INTO clips (moment_id, video_id, cloud_url, start_time, end_time, padding_left,
                   padding_right)
SELECT m.id, m.video_id, :root || '/clips/' || v.identifier || '/' || m.identifier || '-'
       || lpad(m.id::text, 16, '0') || '.mp4', m.start_time, m.end_time, 0, 0
FROM moments m JOIN videos v ON v.id = m.video_id
"""


def filled(place: Installation) -> None:
    """Rows by SQL, and an empty file for each; then files that nobody refers to."""
    from videomoments_dagster.core.configured_database import open_database

    database = open_database(place.environment["DATABASE_URL"])
    root = place.home / "objects"
    each = (OBJECTS - VIDEOS - ORPHANS) // VIDEOS
    with database.engine.begin() as connection:
        given: dict[str, Any] = {"root": root.as_uri(), "videos": VIDEOS, "each": each}
        for statement in (_VIDEOS, _SOURCES, _PROMPTS, _CONFIGS, _MOMENTS, _CLIPS):
            connection.execute(text(statement), given)
        urls = connection.scalars(
            text("SELECT cloud_url FROM videos UNION ALL SELECT cloud_url FROM clips")
        ).all()
    paths = [Path(url.removeprefix("file://")) for url in urls]
    paths += [
        root / f"clips/video-{number % VIDEOS + 1}/gone{number}-{number:016d}.mp4"
        for number in range(OBJECTS - len(paths))
    ]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (_OLD, _OLD))


def main() -> None:
    with installation() as place:
        place.ran("db", "upgrade")
        filled(place)
        figures = {}
        for name, arguments in (("dry_run", ["gc", "--dry-run"]), ("gc", ["gc"])):
            begun = time.monotonic()
            done = place.ran(*arguments, seconds=600)
            figures[f"{name}_seconds"] = round(time.monotonic() - begun, 1)
            said = done.stdout.splitlines()
            print(said[0], "...", said[-1], file=sys.stderr)
            if done.returncode != 0:
                raise SystemExit(done.stdout)
        left = sum(1 for path in (place.home / "objects").rglob("*") if path.is_file())
        figures["objects_left"] = left
        # Of the largest of the two processes, in KiB on Linux.
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        figures["peak_mib"] = round(peak / 1024, 1)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
