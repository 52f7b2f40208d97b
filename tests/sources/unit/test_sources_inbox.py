"""Links in an inbox prove nothing: others may write there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from videomoments_dagster.base.failures import SourceRejected
from videomoments_dagster.sources.fetching import checked_local_path
from videomoments_dagster.sources.limits import FetchLimits, inbox_of


def test_a_file_that_became_a_link_after_it_was_registered_is_not_followed(tmp_path: Path) -> None:
    inbox, outside, allowed = (tmp_path / name for name in ("inbox", "private", "footage"))
    for folder in (inbox, outside, allowed):
        folder.mkdir()
        (folder / "talk.mp4").write_bytes(b"a film")
    limits = FetchLimits(inbox=inbox_of(str(inbox), f"{allowed}{os.pathsep}"))
    talk = inbox / "talk.mp4"
    assert checked_local_path(str(talk), limits) == talk
    for target, is_followed in ((outside, False), (allowed, True)):
        talk.unlink()
        talk.symlink_to(target / "talk.mp4")
        if is_followed:
            assert checked_local_path(str(talk), limits) == target / "talk.mp4"
        else:
            with pytest.raises(SourceRejected, match="a link that leads out of the inbox"):
                checked_local_path(str(talk), limits)
    # Links that the user made elsewhere are followed as ever.
    mine = tmp_path / "mine.mp4"
    mine.symlink_to(outside / "talk.mp4")
    assert checked_local_path(str(mine), limits) == outside / "talk.mp4"


def test_an_inbox_that_is_a_link_itself_holds_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "talk.mp4").write_bytes(b"a film")
    (tmp_path / "inbox").symlink_to(tmp_path / "disk")
    limits = FetchLimits(inbox=inbox_of(str(tmp_path / "inbox"), ""))
    assert checked_local_path(str(tmp_path / "inbox" / "talk.mp4"), limits).name == "talk.mp4"


def test_a_bucket_holds_no_links() -> None:
    assert inbox_of("gs://films/in", "") is None
