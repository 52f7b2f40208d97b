"""Scratch folders on a real file system, held by real processes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from videomoments_dagster.base.failures import ScratchExhausted
from videomoments_dagster.core.resources import ScratchResource
from videomoments_dagster.core.scratch import scratch_folder, sweep

HOLDER = """
import sys
from pathlib import Path
from videomoments_dagster.core.scratch import scratch_folder

with scratch_folder(Path(sys.argv[1]), name="held") as folder:
    (folder / "clip.mp4").write_bytes(b"x")
    print(folder, flush=True)
    sys.stdin.read()
"""


def folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir())


@contextlib.contextmanager
def holding(root: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process that holds a folder until its standard input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            folder = Path(process.stdout.readline().strip())
            assert folder.parent == root
            yield process, folder
        finally:
            if process.poll() is None:
                process.kill()


def test_a_folder_is_gone_after_success(tmp_path: Path) -> None:
    root = tmp_path / "made" / "scratch"
    with scratch_folder(root, name="run") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "sound.wav").write_bytes(b"x")
        assert folders(root) == [folder]
    assert folders(root) == []


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_folder_is_gone_after_a_failure(tmp_path: Path, failure: type[BaseException]) -> None:
    def job() -> None:
        with scratch_folder(tmp_path, name="run") as folder:
            (folder / "sound.wav").write_bytes(b"x")
            raise failure

    with pytest.raises(failure):
        job()
    assert folders(tmp_path) == []


@pytest.mark.parametrize("fails", [False, True])
def test_a_run_has_one_folder_which_is_gone_after_it(tmp_path: Path, *, fails: bool) -> None:
    seen: list[Path] = []

    @dg.asset
    def first(scratch: ScratchResource) -> None:
        (scratch.subfolder("source") / "video.mp4").write_bytes(b"x")
        seen.append(scratch.folder)

    @dg.asset(deps=[first])
    def second(scratch: ScratchResource) -> None:
        assert (scratch.subfolder("source") / "video.mp4").exists()
        seen.append(scratch.folder)
        if fails:
            raise RuntimeError("on purpose")

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [first, second],
            resources={"scratch": ScratchResource(root=str(tmp_path))},
            instance=instance,
            raise_on_error=False,
        )
    assert result.success is not fails
    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert seen[0].name.startswith(result.run_id)
    assert folders(tmp_path) == []


def test_the_folder_of_a_killed_process_is_removed_by_the_next_and_that_of_a_living_one_is_not(
    tmp_path: Path,
) -> None:
    with holding(tmp_path) as (dead, orphan), holding(tmp_path) as (_living, held):
        dead.kill()
        dead.wait(timeout=30)
        assert folders(tmp_path) == sorted([orphan, held])

        with scratch_folder(tmp_path, name="next") as folder:
            assert folders(tmp_path) == sorted([held, folder])
            assert (held / "clip.mp4").exists()
        assert folders(tmp_path) == [held]


def test_a_folder_of_this_process_is_not_swept(tmp_path: Path) -> None:
    with scratch_folder(tmp_path, name="one") as one, scratch_folder(tmp_path, name="two") as two:
        sweep(tmp_path)
        assert folders(tmp_path) == sorted([one, two])


def test_what_others_keep_in_the_same_root_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    (tmp_path / "a file").write_text("x")
    elsewhere = tmp_path / "mine" / "linked"
    elsewhere.mkdir()
    (tmp_path / "link").symlink_to(elsewhere)
    with scratch_folder(tmp_path, name="run"):
        pass
    assert (tmp_path / "mine" / "thesis.txt").exists()
    assert (tmp_path / "a file").exists()
    assert elsewhere.exists()


def test_a_root_that_cannot_be_made_names_itself_and_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(ScratchExhausted, match="VIDEOMOMENTS_SCRATCH") as failed,
        scratch_folder(tmp_path / "file" / "scratch", name="run"),
    ):
        pass
    assert str(tmp_path / "file" / "scratch") in str(failed.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_root_that_is_not_writable_is_said_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ScratchExhausted), scratch_folder(tmp_path, name="run"):
        pass
