"""The page of a real video: stored by a run, and written by the command."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner
from pipeline import Pipeline, talk_captions

from videomoments_dagster.cli.main import main
from videomoments_dagster.media.stills import LONGEST_SMALL_SIDE, small_jpeg

TITLE = '<script>alert(1)</script> & "Talk"'


def test_a_run_stores_a_page_and_the_command_writes_one_with_pictures(
    pipeline: Pipeline, talk_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    captions = tmp_path / "talk.srt"
    captions.write_text(talk_captions())
    talk = pipeline.add(talk_video, captions=str(captions), title=TITLE)
    assert pipeline.run(talk).row.status == "completed", pipeline.last.failures

    event = pipeline.instance.get_latest_materialization_event(dg.AssetKey("clips"))
    assert event is not None
    assert event.asset_materialization is not None
    told = event.asset_materialization.metadata["page"]
    [(url,)] = pipeline.rows("SELECT cloud_url FROM pipeline.pages")
    page = Path(url.removeprefix("file://"))
    assert told == dg.MetadataValue.url(f"/objects/pages/{talk}/{page.name}")
    titles = [title for (title,) in pipeline.rows("SELECT title FROM moments WHERE NOT is_refined")]
    content = page.read_text()
    assert all(title in content for title in titles)
    assert content.count("<script>") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in content

    # Whatever a run materialises once there is a page links to it.
    run = pipeline.run(talk, job="moments_only")
    made = [
        one.asset_materialization.metadata["page"]
        for one in pipeline.instance.all_logs(run.run_id)
        if one.asset_materialization
    ]
    assert made == [told] * 3

    objects = pipeline.objects()
    assert pipeline.run(talk).row.status == "completed"
    assert pipeline.objects() == objects

    shown = CliRunner().invoke(main, ["show", talk])
    assert f"http://127.0.0.1:3000/objects/pages/{talk}/{page.name}" in shown.output.split()

    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(main, ["report", talk])
    assert shown.exit_code == 0, shown.output
    assert str(tmp_path / f"{talk}.html") in shown.output
    content = (tmp_path / f"{talk}.html").read_text()
    pictures = re.findall(r'(?:src|poster)="data:image/jpeg;base64,([^"]+)"', content)
    assert len(pictures) == len(titles) + 1
    for picture in pictures:
        _, width, height = small_jpeg(base64.b64decode(picture))
        assert max(width, height) <= LONGEST_SMALL_SIDE or picture == pictures[0]
    assert len(content) < 200_000
    assert content.count("Refined:") == len(titles)

    # The large pictures are where the other media are.
    for media, large in (
        ("link", r'class="enlarge" href="([^"]+/thumbnails/[^"]+\.jpg)"'),
        ("copy", r'class="enlarge" href="(page-media/picture-[0-9a-f]{8}\.jpg)"'),
        ("embed", r'class="enlarge" href="#[^"]+" data-content="(data:image/jpeg;base64,[^"]+)"'),
    ):
        shown = CliRunner().invoke(main, ["report", talk, "--media", media, "--output=page.html"])
        assert shown.exit_code == 0, shown.output
        found = re.findall(large, (tmp_path / "page.html").read_text())
        assert len(set(found)) == len(titles)
        assert media == "embed" or all((tmp_path / one).is_file() for one in found)

    shown = CliRunner().invoke(main, ["report", talk, "--output", "none/page.html"])
    assert shown.exit_code == 1
    assert "there is no folder" in shown.output
    assert "mkdir -p" in shown.output
    assert "report talk --media embed" in CliRunner().invoke(main, ["report", "--help"]).output
