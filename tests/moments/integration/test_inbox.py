"""The inbox sensor, ticking on a real database and a real folder."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.test_utils import create_run_for_test
from media_samples import MediaSamples
from sqlalchemy import select
from stored_records import Storage, content_hash

from db.models import InboxEntry
from db.session import Database
from videomoments_dagster.base.failures import (
    DatabaseRefused,
    SourceRejected,
    SourceUnavailable,
)
from videomoments_dagster.core.resources import DatabaseResource, ObjectStoreResource
from videomoments_dagster.moments import automation as inbox_sensor
from videomoments_dagster.moments import registration
from videomoments_dagster.moments.intake.arrivals import Arrival
from videomoments_dagster.moments.intake.intake import InboxResource, take_in
from videomoments_dagster.moments.registration import registered_source

LONG_AGO = 1_700_000_000


@dataclass
class Inbox:
    """An inbox with its sensor.

    Attributes:
        folder: Where files are dropped.
        resource: The resource that looks into it.
        instance: Dagster's instance.
        cursor: What the last tick left.
    """

    folder: Path
    resource: InboxResource
    instance: DagsterInstance
    database: Database
    sample: Path
    cursor: str | None = None
    launched: list[str] = field(default_factory=list)

    def drop(self, name: str, content: bytes | None = None, *, age: float | None = None) -> Path:
        """A whole file of that name; with bytes of its own unless they are given."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # Trailing bytes make another file of it, and the same video.
        path.write_bytes(self.sample.read_bytes() + name.encode() if content is None else content)
        then = LONG_AGO if age is None else time.time() - age
        os.utime(path, (then, then))
        return path

    def tick(self) -> dg.SensorResult:
        """A tick as the daemon does it, up to the launching of runs."""
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources={"inbox": self.resource}
        ) as context:
            result = inbox_sensor.inbox(context)
        assert isinstance(result, dg.SensorResult)
        return result

    def launch(self, result: dg.SensorResult) -> list[str]:
        """What the daemon does with the result of a tick; the videos whose runs it launched."""
        launched = []
        for request in result.run_requests or []:
            create_run_for_test(
                self.instance,
                job_name="full",
                status=DagsterRunStatus.NOT_STARTED,
                tags={
                    "dagster/run_key": str(request.run_key),
                    "dagster/partition": str(request.partition_key),
                },
            )
            launched.append(str(request.partition_key))
        assert (result.cursor or "").isprintable()
        self.cursor = result.cursor
        self.launched += launched
        return launched

    def ticked(self) -> list[str]:
        return self.launch(self.tick())

    def entries(self, outcome: str) -> list[InboxEntry]:
        """What is noted of arrivals that came to this."""
        with self.database.read() as session:
            found = select(InboxEntry).where(InboxEntry.outcome == outcome)
            return list(session.scalars(found.order_by(InboxEntry.location)))


@pytest.fixture
def inbox(
    storage: Storage, database_url: str, tmp_path: Path, media_samples: MediaSamples
) -> Iterator[Inbox]:
    folder = tmp_path / "inbox"
    folder.mkdir()
    database = DatabaseResource(url=database_url)
    store = ObjectStoreResource(root=str(storage.folder / "objects"))
    with DagsterInstance.ephemeral() as instance:
        yield Inbox(
            folder=folder,
            resource=InboxResource(
                database=database, object_store=store, root=str(folder), required=True
            ),
            instance=instance,
            database=database.database,
            sample=media_samples.path("h264_gop2.mp4"),
        )


def said(result: dg.SensorResult) -> str:
    return str(result.skip_reason.skip_message if result.skip_reason else "")


def test_a_new_file_becomes_a_partition_and_one_run_however_often_the_sensor_ticks(
    inbox: Inbox,
) -> None:
    inbox.drop("talk.mp4")
    assert inbox.ticked() == ["talk"]
    assert inbox.instance.has_dynamic_partition("videos", "talk")
    assert [inbox.ticked() for _ in range(3)] == [[], [], []]


def test_a_sensor_that_lost_its_cursor_doubles_nothing(inbox: Inbox) -> None:
    inbox.drop("talk.mp4")
    inbox.ticked()
    inbox.cursor = None
    assert inbox.ticked() == []


def test_a_tick_that_died_before_its_runs_were_launched_loses_nothing(inbox: Inbox) -> None:
    inbox.drop("talk.mp4")
    lost = inbox.tick()
    again = inbox.tick()
    assert [request.run_key for request in again.run_requests or []] == [
        request.run_key for request in lost.run_requests or []
    ]
    assert inbox.launch(again) == ["talk"]
    assert inbox.ticked() == []


def test_a_file_that_is_still_written_waits_and_so_does_one_whose_captions_are(
    inbox: Inbox,
) -> None:
    inbox.drop("growing.mp4", age=1)
    inbox.drop("talk.mp4")
    inbox.drop("talk.srt", b"1\n00:00:00,000 --> 00:00:01,000\nHello.\n", age=1)
    inbox.drop("empty.mp4", b"")
    assert inbox.ticked() == []
    inbox.drop("talk.srt", b"1\n00:00:00,000 --> 00:00:01,000\nHello.\n")
    assert inbox.ticked() == ["talk"]
    with inbox.database.read() as session:
        source = registered_source(session, identifier="talk")
    assert source is not None
    assert source.captions == str(inbox.folder / "talk.srt")
    assert source.transcription_engine == "captions"


def test_the_same_bytes_under_another_name_are_recognised(inbox: Inbox) -> None:
    first = inbox.drop("talk.mp4")
    assert inbox.ticked() == ["talk"]
    inbox.drop("sub/copy.mp4", first.read_bytes())
    inbox.drop("different.mp4", first.read_bytes()[:-1] + b"!")
    result = inbox.tick()
    assert inbox.launch(result) == ["different"]
    assert not inbox.instance.has_dynamic_partition("videos", "copy")
    inbox.drop("again.mp4", first.read_bytes())
    assert "again.mp4 has the same bytes as 'talk'" in said(inbox.tick())
    assert said(inbox.tick()) == "Nothing new."


def test_two_copies_that_arrive_together_are_one_video(inbox: Inbox) -> None:
    first = inbox.drop("a.mp4")
    inbox.drop("b.mp4", first.read_bytes())
    assert inbox.ticked() == ["a"]


def test_a_copy_of_a_stored_video_is_recognised_when_its_source_is_gone(
    inbox: Inbox, storage: Storage
) -> None:
    bytes_of_old = inbox.sample.read_bytes()
    path = storage.folder / "old.mp4"
    path.write_bytes(bytes_of_old)
    fetched = storage.video("old", path=path, content_hash=content_hash(path))
    facts = replace(fetched.facts, size_bytes=len(bytes_of_old))
    storage.store("video", "old", replace(fetched, facts=facts))
    path.unlink()
    inbox.drop("new.mp4", bytes_of_old)
    assert "has the same bytes as 'old'" in said(inbox.tick())


def test_what_is_no_video_is_noted_once_and_looked_at_again_when_it_changes(inbox: Inbox) -> None:
    inbox.drop("broken.mp4", b"not a video at all")
    assert "broken.mp4 was not taken in" in said(inbox.tick())
    assert said(inbox.tick()) == "Nothing new."
    inbox.drop("broken.mp4")
    assert inbox.ticked() == ["broken"]


def test_a_file_that_was_replaced_is_run_again_as_the_same_video(inbox: Inbox) -> None:
    inbox.drop("talk.mp4")
    inbox.ticked()
    inbox.drop("talk.mp4", inbox.sample.read_bytes() + b"another take")
    assert inbox.ticked() == ["talk"]
    assert inbox.ticked() == []


def test_two_files_of_one_name_are_two_videos(inbox: Inbox) -> None:
    inbox.drop("monday/talk.mp4")
    inbox.drop("tuesday/talk.mp4")
    first, second = inbox.ticked()
    assert first == "talk"
    assert second.startswith("talk-")


def test_a_folder_that_cannot_be_listed_is_not_an_empty_one(inbox: Inbox) -> None:
    inbox.drop("talk.mp4")
    inbox.ticked()
    moved = inbox.folder.rename(inbox.folder.with_name("away"))
    with pytest.raises(SourceUnavailable, match=r"cannot be listed.*VIDEOMOMENTS_INBOX"):
        inbox.tick()
    moved.rename(inbox.folder)
    assert inbox.ticked() == []


def test_the_usual_folder_need_not_be_there(inbox: Inbox) -> None:
    shutil.rmtree(inbox.folder)
    inbox.resource = InboxResource(
        database=inbox.resource.database,
        object_store=inbox.resource.object_store,
        root=str(inbox.folder),
    )
    assert said(inbox.tick()) == "Nothing new."


def test_many_files_are_worked_through_in_chunks_and_each_comes_once(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_sensor, "ARRIVALS_PER_TICK", 4)
    names = [f"talk-{number:02d}" for number in range(10)]
    for name in names:
        inbox.drop(f"{name}.mp4")
    inbox.drop("talk-00a.mp4", b"broken")
    chunks = []
    while chunk := inbox.ticked():
        chunks.append(chunk)
    assert max(map(len, chunks)) == 4
    assert sorted(inbox.launched) == names


def test_a_slow_tick_stops_in_time_and_the_next_goes_on(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_sensor, "SECONDS_PER_TICK", 0.0)
    for name in ("a", "b", "c"):
        inbox.drop(f"{name}.mp4")
    inbox.tick()
    assert inbox.cursor is None
    monkeypatch.setattr(inbox_sensor, "SECONDS_PER_TICK", 20.0)
    assert sorted(inbox.ticked()) == ["a", "b", "c"]


def dropped_latin_1(inbox: Inbox) -> Path:
    """A file whose name is not UTF-8, as an old archive or camera has it."""
    inbox.drop("plain.mp4")
    path = Path(os.fsdecode(os.fsencode(inbox.folder) + b"/caf\xe9.mp4"))
    (inbox.folder / "plain.mp4").rename(path)
    return path


def test_a_name_that_is_not_utf_8_is_refused_and_the_rest_goes_on(inbox: Inbox) -> None:
    dropped_latin_1(inbox)
    inbox.drop("aaa.mp4")
    inbox.drop("talk.mp4")
    result = inbox.tick()
    assert sorted(inbox.launch(result)) == ["aaa", "talk"]
    [entry] = inbox.entries("rejected")
    assert entry.location.endswith("/caf\ufffd.mp4")
    assert "is not valid UTF-8" in str(entry.reason)
    assert "Rename the file" in str(entry.reason)
    assert inbox.ticked() == []
    assert said(inbox.tick()) == "Nothing new."


def test_captions_whose_name_is_not_utf_8_are_refused_with_their_file(inbox: Inbox) -> None:
    path = dropped_latin_1(inbox)
    path.with_suffix(".srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello.\n")
    os.utime(path.with_suffix(".srt"), (LONG_AGO, LONG_AGO))
    inbox.drop("talk.mp4")
    assert inbox.ticked() == ["talk"]


def test_a_tick_that_stops_at_a_name_that_is_not_utf_8_goes_on_behind_it(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_sensor, "ARRIVALS_PER_TICK", 1)
    dropped_latin_1(inbox)
    inbox.drop("aaa.mp4")
    inbox.drop("talk.mp4")
    ticks = [inbox.ticked() for _ in range(4)]
    assert [name for launched in ticks for name in launched] == ["aaa", "talk"]


def test_an_unforeseen_exception_is_its_files_failure_and_logged_with_its_traceback(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    real = registration.probe

    def failing(path: Path, **given: bool) -> object:
        if path.name == "odd.mp4":
            raise ZeroDivisionError("nobody thought of this")
        return real(path, **given)

    monkeypatch.setattr(registration, "probe", failing)
    for name in ("aaa", "odd", "talk"):
        inbox.drop(f"{name}.mp4")
    assert inbox.ticked() == ["aaa", "talk"]
    [entry] = inbox.entries("rejected")
    assert "ZeroDivisionError: nobody thought of this" in str(entry.reason)
    logged = capfd.readouterr().err
    assert "odd.mp4 was not taken in, for a reason that nobody foresaw" in logged
    assert "Traceback" in logged


def test_a_file_that_cannot_be_read_just_now_waits_and_the_rest_goes_on(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(path: Path, **_: object) -> object:
        if path.name == "away.mp4":
            raise SourceUnavailable(f"the source {path} cannot be read just now")
        return None

    monkeypatch.setattr(registration, "probe", failing)
    for name in ("away", "talk"):
        inbox.drop(f"{name}.mp4")
    assert inbox.ticked() == ["talk"]
    assert "away.mp4 waits" in said(inbox.tick())
    monkeypatch.setattr(registration, "probe", lambda _path, **_: None)
    assert inbox.ticked() == ["away"]


def test_a_folder_below_that_may_not_be_listed_is_said_and_the_rest_goes_on(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox.drop("private/secret.mp4")
    inbox.drop("talk.mp4")
    real = os.scandir

    def forbidding(path: str) -> object:
        if str(path).endswith("private"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", forbidding)
    assert inbox.ticked() == ["talk"]
    [entry] = inbox.entries("rejected")
    assert entry.location.endswith("/private")
    assert "cannot be listed: Permission denied" in str(entry.reason)
    monkeypatch.setattr(os, "scandir", real)
    assert inbox.ticked() == ["secret"]


def test_a_link_that_leads_out_of_the_inbox_is_not_followed(inbox: Inbox) -> None:
    outside = inbox.folder.parent / "private.mp4"
    shutil.copy(inbox.sample, outside)
    os.utime(outside, (LONG_AGO, LONG_AGO))
    (inbox.folder / "link.mp4").symlink_to(outside)
    inbox.drop("talk.mp4")
    (inbox.folder / "talk.srt").symlink_to(outside)
    inbox.drop("real.mp4")
    (inbox.folder / "again.mp4").symlink_to("real.mp4")
    assert inbox.ticked() == ["real"]
    reasons = {Path(entry.location).name: str(entry.reason) for entry in inbox.entries("rejected")}
    assert set(reasons) == {"link.mp4", "talk.mp4"}
    assert "a link that leads out of the inbox" in reasons["link.mp4"]
    assert "VIDEOMOMENTS_INBOX_LINKS" in reasons["link.mp4"]
    assert "talk.srt" in reasons["talk.mp4"]
    assert said(inbox.tick()) == "Nothing new."


def test_a_link_into_a_folder_that_is_allowed_is_followed(inbox: Inbox) -> None:
    archive, beside = inbox.folder.parent / "archive", inbox.folder.parent / "archive2"
    for folder in (archive, beside):
        folder.mkdir()
        (folder / f"{folder.name}.mp4").write_bytes(
            inbox.sample.read_bytes() + folder.name.encode()
        )
        os.utime(folder / f"{folder.name}.mp4", (LONG_AGO, LONG_AGO))
        (inbox.folder / f"{folder.name}.mp4").symlink_to(folder / f"{folder.name}.mp4")
    inbox.resource = InboxResource(
        database=inbox.resource.database,
        object_store=inbox.resource.object_store,
        root=str(inbox.folder),
        links=str(archive),
    )
    assert inbox.ticked() == ["archive"]


def test_a_file_that_became_a_link_since_it_was_listed_is_not_followed(inbox: Inbox) -> None:
    outside = inbox.folder.parent / "private.mp4"
    shutil.copy(inbox.sample, outside)
    path = inbox.drop("talk.mp4")
    [arrival] = inbox.resource.arrivals()
    path.unlink()
    path.symlink_to(outside)
    with pytest.raises(SourceRejected, match=r"talk\.mp4 has become a link"):
        inbox.resource.register(inbox.instance, arrival)


def test_a_manifest_names_sources_with_titles_and_profiles(inbox: Inbox) -> None:
    elsewhere = inbox.folder.parent / "archive"
    elsewhere.mkdir()
    shutil.copy(inbox.sample, elsewhere / "one.mp4")
    manifest = elsewhere / "list.csv"
    manifest.write_text(
        "source,identifier,title,profile\n"
        "one.mp4,first,The first,default\n"
        "https://example.org/two.webm,,,\n"
        "gone.mp4,third,,\n"
        "two.mp4,../etc,,\n"
    )
    inbox.resource = InboxResource(
        database=inbox.resource.database,
        object_store=inbox.resource.object_store,
        root=str(inbox.folder),
        manifest=str(manifest),
    )
    assert sorted(inbox.ticked()) == ["first", "two"]
    assert inbox.ticked() == []
    manifest.unlink()
    with pytest.raises(SourceUnavailable, match=r"manifest .* cannot be read"):
        inbox.tick()


def test_what_is_wrong_with_the_database_is_not_taken_for_the_files_fault(
    storage: Storage, inbox: Inbox
) -> None:
    def refused(_arrival: Arrival) -> str:
        raise DatabaseRefused("it says no")

    with pytest.raises(DatabaseRefused):
        take_in(
            inbox.database,
            storage.manager.object_store.store,
            [Arrival(location="/talk.mp4", state="1")],
            register=refused,
            after="",
            most=1,
            seconds=10,
            log=logging.getLogger(__name__),
        )
