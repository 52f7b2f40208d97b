"""What the UI says about each definition."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from imitated_runs import JOB_ASSETS

from videomoments_dagster.definitions import build_definitions

LEAST_CHARACTERS = 80
PARTS = {
    "what it reads": r"\b[Rr]eads?\b",
    "what it writes": r"\b([Ww]rites?|removes)\b",
    "what to do when it fails": r"\b[Ii]f it fails\b",
}


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions()


def described(definitions: dg.Definitions) -> Iterator[tuple[str, str | None]]:
    repository = definitions.get_repository_def()
    for spec in definitions.resolve_all_asset_specs():
        yield f"asset {spec.key.to_user_string()}", spec.description
    for job in repository.get_all_jobs():
        if not job.name.startswith("__"):
            yield f"job {job.name}", job.description
    for schedule in repository.schedule_defs:
        yield f"schedule {schedule.name}", schedule.description
    for sensor in repository.sensor_defs:
        yield f"sensor {sensor.name}", sensor.description
    for name, resource in repository.get_top_level_resources().items():
        yield f"resource {name}", resource.description


def test_every_definition_says_what_it_is_reads_and_writes_and_what_to_do(
    definitions: dg.Definitions,
) -> None:
    found = dict(described(definitions))
    kinds = {name.partition(" ")[0] for name in found}
    assert kinds == {"asset", "job", "schedule", "sensor", "resource"}
    missing = {
        f"{name}: {part}"
        for name, description in found.items()
        for part, pattern in PARTS.items()
        if not re.search(pattern, " ".join((description or "").split()))
    }
    assert missing == set()
    too_short = [name for name, text in found.items() if len(text or "") < LEAST_CHARACTERS]
    assert too_short == []


def test_descriptions_are_plain_text(definitions: dg.Definitions) -> None:
    # In most places the UI shows them as they are.
    graph = definitions.resolve_asset_graph()
    options = [
        (f"{option} of {key.to_user_string()}", field.description)
        for key, one in definitions.get_repository_def().assets_defs_by_key.items()
        for option, field in one.op.config_schema.config_type.fields.items()  # type: ignore[attr-defined]
    ]
    ops = [
        (f"{node.name} of {job.name}", node.definition.description)
        for job in definitions.resolve_all_job_defs()
        for node in job.nodes
    ]
    checks = [
        (f"check {key.name}", graph.get_check_spec(key).description)
        for key in graph.asset_check_keys
    ]
    texts = [*described(definitions), *options, *ops, *checks]
    assert len(texts) > 60
    assert [name for name, text in texts if "`" in (text or "")] == []


def test_every_check_is_partitioned_and_says_what_to_do(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    assert len(graph.asset_check_keys) >= 13
    for key in graph.asset_check_keys:
        spec = graph.get_check_spec(key)
        assert isinstance(spec.partitions_def, dg.DynamicPartitionsDefinition), key
        description = spec.description or ""
        assert len(description) >= LEAST_CHARACTERS, key
        assert re.search(r"[Ii]f it fails|fails|warning|again with 'force'", description), key
    blocking = {key.name for key in graph.asset_check_keys if graph.get_check_spec(key).blocking}
    assert blocking == {"word_times_are_in_order", "moments_lie_in_the_video"}


@pytest.mark.parametrize("job", ["full", "moments_only", "scores_only", "clips_only"])
def test_no_job_that_materialises_looks_at_stored_objects(
    definitions: dg.Definitions, job: str
) -> None:
    steps = {node.name for node in definitions.resolve_job_def(job).graph.node_defs}
    assert steps == JOB_ASSETS[job]


def test_loading_the_definitions_warns_of_nothing() -> None:
    script = "import videomoments_dagster.definitions as d; d.defs.resolve_all_job_defs()"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
