"""`make bench`: every part against the plainest way to do the same, in one table.

    python benchmarks/run.py [PART ...]

Each figure is the median of several runs, taken in turn with its rival's on the same machine, and
the ratio of the two beside what was promised. Media are made with ffmpeg in a temporary folder;
databases are the project's own embedded PostgreSQL. All of it takes most of an hour.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import code_speed
import long_video
import many_partitions
import media_parts
import rows_and_search
import transcribing
import whole_runs
from comparison import Rows
from rich.console import Console

from videomoments_dagster.base.workers import available_cores

PARTS: dict[str, Callable[[Rows, Path], None]] = {
    "clips": media_parts.clips,
    "encoded": media_parts.encoded_clips,
    "thumbnails": media_parts.thumbnails,
    "ingest": media_parts.ingest,
    "transcript": transcribing.transcripts,
    "moments": code_speed.moments,
    "imports": code_speed.imports,
    "runs": whole_runs.runs,
    "dev": whole_runs.dev,
    "long": long_video.memory,
    "ranges": long_video.ranges,
    "rows": rows_and_search.written_rows,
    "search": rows_and_search.search,
    "partitions": many_partitions.partitions,
}


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    chosen = parser.parse_args().parts
    unknown = set(chosen) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    rows = Rows()
    failed = [
        name
        for name, part in PARTS.items()
        if (not chosen or name in chosen) and not _went_well(name, part, rows)
    ]
    console = Console(width=150)
    console.print(rows.table())
    console.print(
        f"{available_cores()} cores, {platform.machine()}, Python {platform.python_version()}. "
        f"{sum(row.reached for row in rows.rows)} of {len(rows.rows)} as promised."
    )
    if failed:
        raise SystemExit(f"Without figures, for what is said above: {', '.join(failed)}")


def _went_well(name: str, part: Callable[[Rows, Path], None], rows: Rows) -> bool:
    """Run a part; what is wrong with one costs nobody the others' figures."""
    # A folder that PostgreSQL's own user may enter.
    with tempfile.TemporaryDirectory(prefix=f"videomoments-bench-{name}-") as folder:
        try:
            part(rows, Path(folder))
        except SystemExit as refusal:
            print(f"{name}: {refusal}", flush=True)
        except Exception:  # noqa: BLE001 - whatever it is, it is told, and the exit code says so
            traceback.print_exc()
        else:
            return True
    return False


if __name__ == "__main__":
    main()
