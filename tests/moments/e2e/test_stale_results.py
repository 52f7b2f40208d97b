"""What SQL says about results that are out of date is what a run would say about them."""

from __future__ import annotations

import random
import re
import shlex
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pipeline import ASSETS, Pipeline

from videomoments_dagster.base.failures import MediaFailed
from videomoments_dagster.cli.main import main
from videomoments_dagster.core import io_manager
from videomoments_dagster.core.asset import Previous
from videomoments_dagster.media.clip_cutting import cut_clips
from videomoments_dagster.moments.assets import clips as clips_asset
from videomoments_dagster.moments.backlog import registered_videos, unfinished_assets
from videomoments_dagster.moments.system import MOMENTS as SYSTEM

MANY_VIDEOS = Path(__file__).parents[3] / "docs" / "many-videos.md"

WITHOUT_CLIP = """
    SELECT moments.identifier FROM moments LEFT JOIN clips ON clips.moment_id = moments.id
    WHERE NOT is_refined AND clips.id IS NULL
"""
MOMENTS = "SELECT identifier FROM moments WHERE NOT is_refined"


def backfill(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, *options: str) -> str:
    """What the command prints."""
    monkeypatch.setattr(
        "videomoments_dagster.cli.context.opened_instance", lambda _: nullcontext(pipeline.instance)
    )
    done = CliRunner().invoke(main, ["backfill", *options])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_documented_backfills_leave_an_archive_with_clips_of_the_new_moments(
    pipeline: Pipeline, talk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.run(talk)
    before = set(pipeline.rows(MOMENTS))
    listing = re.search(r"```console\n(.*?)```", MANY_VIDEOS.read_text(), re.DOTALL)
    assert listing is not None
    documented = [
        shlex.split(line, comments=True)[2:]
        for line in re.findall(r"^\$ (videomoments backfill.*)$", listing[1], re.MULTILINE)
    ]
    assert any("moments_only" in options for options in documented)
    for options in documented:
        # The profile that these tests have is called otherwise.
        backfill(pipeline, monkeypatch, *(one.replace("shorts", "short") for one in options))
    after = set(pipeline.rows(MOMENTS))
    assert after != before
    assert pipeline.rows(WITHOUT_CLIP) == []
    assert "for 0 videos" in backfill(pipeline, monkeypatch, "--dry-run")


def test_a_backfill_of_all_that_is_unfinished_leaves_the_profile_that_somebody_chose(
    pipeline: Pipeline, talk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.run(talk)
    pipeline.run(talk, job="moments_only", profile="short")
    chosen = set(pipeline.rows(MOMENTS))
    assert f"{talk}: clips, thumbnails" in backfill(pipeline, monkeypatch)
    assert set(pipeline.rows(MOMENTS)) == chosen
    assert pipeline.rows(WITHOUT_CLIP) == []
    assert "for 0 videos" in backfill(pipeline, monkeypatch, "--dry-run")


# Histories: what SQL finds after each of them, against what the assets decide.


def would_be_made(
    pipeline: Pipeline, video: str, profile: str, monkeypatch: pytest.MonkeyPatch
) -> set[str]:
    """Assets that a run of everything would make again, by their own judgement; none is made."""
    found: set[str] = set()
    decide = Previous.is_made_from

    def noted(self: Previous[Any], **given: Any) -> bool:
        if not decide(self, **given):
            found.add(self._storage.name)
        return True

    with monkeypatch.context() as patched:
        patched.setattr(Previous, "is_made_from", noted)
        patched.setattr(io_manager, "confirm", lambda *_: None)
        # The page would be stored anew.
        patched.setattr(
            "videomoments_dagster.moments.page.page_store.refresh_page", lambda *_: "file:///page"
        )
        assert pipeline.run(video, profile=profile).row.status != "failed"
    return found


def stale_or_missing(pipeline: Pipeline, video: str) -> set[str]:
    """The same by SQL, asset by asset; the query for all videos must agree."""
    found = set()
    for asset in ASSETS:
        [[current]] = pipeline.rows(
            "SELECT count(*) FROM pipeline.materialisations WHERE partition_key = :video "
            "AND asset = :asset AND fingerprint <> '' AND NOT is_stale",
            video=video,
            asset=asset,
        )
        if not current:
            found.add(asset)
    database = pipeline.database
    due = {
        one
        for which in ("missing", "stale")
        for one in registered_videos(database, which, job="full")  # type: ignore[arg-type]
    }
    assert (video in due) == bool(found)
    assert found <= unfinished_assets(database, [video], job="full").get(video, found)
    return found


def one_clip_fails(patched: pytest.MonkeyPatch) -> None:
    def cut(requests: Any, **given: Any) -> list[Any]:
        cut = list(cut_clips(requests, **given))
        cut[0] = MediaFailed("it could not be cut")
        return cut

    patched.setattr(clips_asset, "cut_clips", cut)


History = list[tuple[str, Callable[[], Any]]]


@pytest.mark.parametrize("seed", [1, 13, 20])
def test_after_any_history_sql_finds_what_a_run_would_make_again(
    pipeline: Pipeline, talk: str, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311
    pipeline.run(talk)
    profile = "default"

    def partial_clips() -> None:
        with monkeypatch.context() as patched:
            one_clip_fails(patched)
            pipeline.run(talk, job="clips_only", force=True)

    deletions = {
        "a clip": "DELETE FROM clips WHERE id = (SELECT min(id) FROM clips)",
        "a thumbnail of a clip": "DELETE FROM thumbnails WHERE id = "
        "(SELECT min(id) FROM thumbnails WHERE clip_id IS NOT NULL)",
        "the video's thumbnail": "DELETE FROM thumbnails WHERE video_id IS NOT NULL",
        "a refined moment": "DELETE FROM moments WHERE id = "
        "(SELECT min(id) FROM moments WHERE is_refined)",
        "a moment": "DELETE FROM moments WHERE id = "
        "(SELECT min(id) FROM moments WHERE NOT is_refined)",
        "a title": "UPDATE pipeline.sources SET title = title || '!'",
    }
    history: list[str] = []
    for _ in range(8):
        step = chance.choice(
            ["moments_only", "moments_only", "clips_only", "scores_only", "full", "partial", "sql"]
        )
        match step:
            case "partial":
                partial_clips()
            case "sql":
                step = chance.choice(sorted(deletions))
                pipeline.rows(deletions[step])
            case "moments_only":
                profile = chance.choice(["default", "short"])
                step += f" {profile}"
                pipeline.run(talk, job="moments_only", profile=profile, force=chance.random() < 0.5)
            case _:
                # A run that makes nothing of it may not choose another.
                pipeline.run(talk, job=step, profile=profile)
        history.append(step)
        wanted = would_be_made(pipeline, talk, profile, monkeypatch)
        # Its source is no result; what a run finds there, SQL does not see.
        wanted -= {"video"} if "a title" in history else set()
        found = stale_or_missing(pipeline, talk)
        if "a moment" in history:
            # What is remembered of moments is not what is there: all that is made of them is due.
            found, wanted = set(SYSTEM.downstream_of(found)), set(SYSTEM.downstream_of(wanted))
        assert found == wanted, history
