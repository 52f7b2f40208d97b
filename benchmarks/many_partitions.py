"""What `make bench` says about 25,000 partitions, against 100.

Belongs here: what anybody waits for who has a large archive: ticks, `list`, `show`, `search`, a
run, a page of the UI. Does not belong here: thousands of runs (`backfill`).
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from clip_exactness import check_stored
from comparison import Row, Rows, seconds_of
from installation import Installation, installation
from sqlalchemy import text
from whole_runs import Quiet, add_videos, added_files, dev_server

FEW = 100
MANY = 25_000
NEW = 20
"""Files that come into the inbox in one tick."""
PAGE_SECONDS = 3.0
SCHEDULE_SECONDS = 0.5
UNCHANGED_SECONDS = 2.0
"""How much longer a run of an unchanged video may take than with few."""

_SOURCES = """
INSERT INTO pipeline.sources (identifier, location)
SELECT 'old-' || n, '/archive/' || n || '.mp4' FROM generate_series(1, :videos) n
"""
_STORED = "INSERT INTO videos (identifier, cloud_url) SELECT identifier, 'file:///' || identifier "
_STORED += "FROM pipeline.sources WHERE identifier LIKE 'old-%'"
_MADE = """
INSERT INTO pipeline.materialisations
    (system, partition_key, asset, fingerprint, data_version, details)
SELECT 'moments', v.identifier, a.asset, 'f', 'd', '{}'
FROM videos v, unnest(cast(:assets AS text[])) AS a(asset)
WHERE v.identifier LIKE 'old-%'
"""
# "bread" is said in every tenth video.
_SAID = """
INSERT INTO transcripts (video_id, full_text, word_timestamps, segment_timestamps, language)
SELECT v.id, '', '[]', jsonb_agg(jsonb_build_object('start', 6.0 * n, 'end', 6.0 * n + 5, 'text',
       concat_ws(' ', 'Now', md5(v.id % 3000 || '-' || n),
                 CASE WHEN v.id % 10 = n THEN 'bread' END))), 'en'
FROM videos v, generate_series(0, 9) n WHERE v.identifier LIKE 'old-%' GROUP BY v.id
"""


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds that one waits, with so many partitions."""

    inbox: float
    schedule: float
    listing: float
    showing: float
    searching: float
    run: float
    unchanged: float
    page: float


def _filled(place: Installation, instance: dg.DagsterInstance, *, videos: int) -> None:
    """Videos that are done, each with a file in the inbox that is known."""
    from imitated_runs import JOB_ASSETS

    from videomoments_dagster.core.configured_database import open_database
    from videomoments_dagster.moments.intake.arrivals import list_folder
    from videomoments_dagster.moments.intake.intake import note_entry
    from videomoments_dagster.sources.limits import inbox_of

    database = open_database(place.environment["DATABASE_URL"])
    with database.engine.begin() as connection:
        connection.execute(text(_SOURCES), {"videos": videos})
        connection.execute(text(_STORED))
        connection.execute(text(_SAID))
        connection.execute(text(_MADE), {"assets": list(JOB_ASSETS["full"])})
    instance.add_dynamic_partitions("videos", [f"old-{n}" for n in range(1, videos + 1)])
    inbox = place.home / "inbox"
    inbox.mkdir(exist_ok=True)
    for number in range(1, videos + 1):
        (inbox / f"old-{number}.mp4").write_bytes(b"x" * 64)
    past = time.time() - 3600
    for file in inbox.iterdir():
        _set_time(file, past)
    with database.transaction() as session:
        for arrival in list_folder(inbox_of(str(inbox), ""), now=time.time(), settle_seconds=5):
            note_entry(session, arrival, outcome="rejected", identifier=None, reason=None)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as one:
        one.execute(text("VACUUM ANALYZE"))


def _set_time(file: Path, seconds: float) -> None:
    import os

    os.utime(file, (seconds, seconds))


def _inbox_tick(place: Installation, instance: dg.DagsterInstance, *, round_: int) -> float:
    """A tick that finds some new videos among the known files."""
    from videomoments_dagster.core.settings import load_settings
    from videomoments_dagster.definitions import resources_for
    from videomoments_dagster.moments import automation

    content = (place.home / "source.mp4").read_bytes()
    for number in range(NEW):
        file = place.home / "inbox" / f"new-{round_}-{number}.mp4"
        file.write_bytes(content + f"{round_}-{number}".encode())
        _set_time(file, time.time() - 3600)
    resource = resources_for(load_settings())["inbox"]
    with dg.build_sensor_context(instance=instance, resources={"inbox": resource}) as context:
        begun = time.perf_counter()
        result: Any = automation.inbox(context)
        taken = time.perf_counter() - begun
    if len(result.run_requests) < NEW:
        raise SystemExit(f"the inbox asked for {len(result.run_requests)} runs")
    return taken


def _schedule_tick(instance: dg.DagsterInstance) -> float:
    from videomoments_dagster.core.settings import load_settings
    from videomoments_dagster.definitions import resources_for
    from videomoments_dagster.moments.automation import unfinished_videos_schedule

    settings = load_settings()
    schedule = unfinished_videos_schedule(settings.backlog_cron)
    with dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=datetime.now(UTC),
        resources={"backlog": resources_for(settings)["backlog"]},
    ) as context:
        return seconds_of(lambda: schedule(context))


def _asset_page(port: int) -> float:
    """Opening the page of a partitioned asset in the UI, until it shows partitions.

    In Chromium where there is one, which has the UI's scripts already; else what the page asks
    the server for.
    """
    from chromium import chromium_executable, launched, opened_page
    from dev_process import asked

    executable = chromium_executable()
    if executable is None:
        print("no Chromium here: only the server's part of the page is timed")
        return seconds_of(lambda: asked(port, _PAGE))
    with launched(executable) as browser, opened_page(browser) as page:

        def opened() -> None:
            page.goto(f"http://127.0.0.1:{port}/assets/moments?view=partitions")
            page.get_by_text("old-", exact=False).first.wait_for()

        page.goto(f"http://127.0.0.1:{port}/assets/video")
        page.get_by_text("video").first.wait_for()
        return seconds_of(opened)


_PAGE = """
{ assetNodeOrError(assetKey: {path: ["moments"]}) { __typename ... on AssetNode {
    id description jobNames
    assetMaterializations(limit: 1) { runId timestamp }
    partitionStats { numMaterialized numMaterializing numPartitions numFailed }
    partitionKeyConnection(limit: 1000, ascending: true) { results }
    partitionKeysByDimension { name type partitionKeys }
    assetPartitionStatuses {
        __typename ... on DefaultPartitionStatuses { materializedPartitions failedPartitions }
    }
} } }
"""


def _waits(videos: int) -> Waits:
    from videomoments_dagster.cli.dagster_instance import opened_instance
    from videomoments_dagster.cli.running import run_job
    from videomoments_dagster.core.configured_database import open_database
    from videomoments_dagster.core.settings import load_settings

    with installation({"VIDEOMOMENTS_TRANSCRIPTION_ENGINE": "captions"}) as place:
        added = add_videos(place)
        with opened_instance(load_settings()) as instance:
            _filled(place, instance, videos=videos)
            _inbox_tick(place, instance, round_=0)
            inbox = [_inbox_tick(place, instance, round_=n) for n in (1, 2, 3)]
            schedule = [_schedule_tick(instance) for _ in range(4)][1:]
            database = open_database(place.environment["DATABASE_URL"])
            run_job(instance, database, video=added[0], job="full", reporter=Quiet())
            runs, unchanged = (
                [
                    seconds_of(
                        lambda video=video: run_job(
                            instance, database, video=video, job="full", reporter=Quiet()
                        )
                    )
                    for video in added[1:]
                ]
                for _ in range(2)
            )
        check_stored(place, added_files(place, added))
        listing, showing, searching = (
            statistics.median(seconds_of(lambda asked=asked: _ask(place, asked)) for _ in range(3))
            for asked in (["list"], ["show", added[0]], ["search", "bread"])
        )
        page = _page(place)
    return Waits(
        inbox=statistics.median(inbox),
        schedule=statistics.median(schedule),
        listing=listing,
        showing=showing,
        searching=searching,
        run=statistics.median(runs),
        unchanged=statistics.median(unchanged),
        page=page,
    )


def _ask(place: Installation, command: list[str]) -> None:
    done = place.ran(*command)
    if done.returncode != 0 or not done.stdout.strip():
        raise SystemExit(done.stdout)


def _page(place: Installation) -> float:
    with dev_server(place) as port:
        return statistics.median(_asset_page(port) for _ in range(3))


def partitions(rows: Rows, folder: Path) -> None:  # noqa: ARG001 - every part gets one
    """What 25,000 partitions cost, against 100."""
    few, many = _waits(FEW), _waits(MANY)
    against = f"with {FEW}"
    limit = "the promised limit"
    what = f"{MANY:,} partitions: schedule tick"
    rows.add(Row(what, many.schedule, limit, SCHEDULE_SECONDS, 1.0))
    for what, name, times in (
        (f"inbox tick of {NEW} new files", "inbox", 2.0),
        ("videomoments list", "listing", 1.5),
        ("videomoments show", "showing", 1.5),
        ("videomoments search", "searching", 1.5),
        ("a full run of 10 s", "run", 2.0),
    ):
        ours, rival = getattr(many, name), getattr(few, name)
        rows.add(Row(f"{MANY:,} partitions: {what}", ours, against, rival, times))
    what = f"{MANY:,} partitions: a run of an unchanged video"
    against, rival = f"{against}, and {UNCHANGED_SECONDS:g} s", few.unchanged + UNCHANGED_SECONDS
    rows.add(Row(what, many.unchanged, against, rival, 1.0))
    rows.add(Row(f"{MANY:,} partitions: asset page", many.page, limit, PAGE_SECONDS, 1.0))
    print(f"the same page with {FEW} partitions: {few.page:.3g} s")
