"""Files dropped into the inbox of a running `videomoments dev`, and nobody does anything."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from dev_process import START_SECONDS, dev, free_port, says, until
from media_samples import MediaSamples
from pipeline import PROFILES, talk_captions
from postgres import fresh_database, rows_of

from videomoments_dagster.core.objects.local_folder import LocalFolderStore
from videomoments_dagster.media.probe import probe


@pytest.mark.timeout(420)
def test_three_files_in_the_inbox_become_three_completed_runs_and_clips_that_play(
    dev_home: Path,
    tmp_path: Path,
    database_url: str,
    talk_video: Path,
    media_samples: MediaSamples,
    postgres_server: str,
) -> None:
    import yaml

    del media_samples
    profiles = tmp_path / "profiles.yaml"
    profiles.write_text(yaml.safe_dump(PROFILES))
    port = free_port()
    inbox = dev_home / "inbox"
    with fresh_database(postgres_server) as dagster_url, rows_of(database_url) as rows:
        environment = {
            "DATABASE_URL": database_url,
            "VIDEOMOMENTS_DAGSTER_DATABASE_URL": dagster_url,
            "VIDEOMOMENTS_PROFILES": str(profiles),
            "VIDEOMOMENTS_INBOX_SETTLE_SECONDS": "2",
        }
        with dev(dev_home, port=port, **environment) as process:
            until(
                says(dev_home, f"Videos that are put into {inbox} are taken in."),
                seconds=START_SECONDS,
                process=process,
                home=dev_home,
            )
            for name in ("first", "second", "third"):
                # The captions first: whoever drops two files cannot drop them at once.
                (inbox / f"{name}.srt").write_text(talk_captions())
                shutil.copyfile(talk_video, inbox / f"{name}.mp4")
                with (inbox / f"{name}.mp4").open("ab") as file:
                    file.write(name.encode())

            def history() -> list[tuple[str, str]]:
                return rows(
                    "SELECT v.identifier, h.status FROM pipeline_history h "
                    "JOIN videos v ON v.id = h.video_id ORDER BY 1"
                )

            done = [(name, "completed") for name in ("first", "second", "third")]
            until(lambda: history() == done, seconds=240, process=process, home=dev_home)
        clips = rows("SELECT cloud_url, end_time - start_time FROM clips")
    assert len(clips) >= 9
    store = LocalFolderStore(dev_home / "objects")
    for url, seconds in clips:
        path = store.local_path(url)
        assert path is not None
        facts = probe(path)
        assert facts.video is not None
        assert facts.audio is not None
        assert facts.duration_seconds == pytest.approx(seconds, abs=0.05)
