"""Runs of the real jobs' names and assets whose steps do nothing but report.

Belongs here: Dagster's real records of runs that take milliseconds. Does not belong here: the
real assets (`pipeline`).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from stored_records import Storage, configs

from videomoments_dagster.moments.identity import config_hash
from videomoments_dagster.moments.system import MOMENTS

JOB_ASSETS = {
    "full": frozenset(
        {
            "video",
            "transcript",
            "generation_config",
            "moments",
            "refined_moments",
            "clips",
            "thumbnails",
        }
    ),
    "moments_only": frozenset({"generation_config", "moments", "refined_moments"}),
    "scores_only": frozenset({"generation_config", "moments", "refined_moments"}),
    "clips_only": frozenset({"clips", "thumbnails"}),
}
"""The jobs, spelled out: what is expected, not what the code says there is."""


METADATA: dict[str, Mapping[str, Any]] = {
    "generation_config": {"config_hash": config_hash(configs().generation)},
    "moments": {"moments": 4},
    "clips": {"clips": 4, "failed": 0},
}


@dataclass
class Imitated:
    """Runs on an instance of their own, beside the storage that they pretend to write to.

    Attributes:
        instance: Dagster's instance.
        storage: Where the videos are.
    """

    instance: DagsterInstance
    storage: Storage
    _jobs: dict[str, Any] = field(default_factory=dict)

    def with_config(self, *videos: str) -> None:
        """Store what a row of `pipeline_history` refers to."""
        for video in videos:
            self.storage.store("video", video, self.storage.video(video))
            self.storage.store("generation_config", video, configs())

    def run(
        self,
        video: str,
        job: str = "full",
        *,
        assets: tuple[str, ...] = (),
        failing: Mapping[str, str] | None = None,
        metadata: Mapping[str, Mapping[str, Any]] | None = None,
        without_resource: bool = False,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Execute a run; the assets of `failing` raise what is said there.

        Args:
            video: Partition key.
            job: Name of the job.
            assets: What to materialise as the UI does it, in place of a job.
            failing: Sentences by asset.
            metadata: In place of `METADATA`, by asset.
            without_resource: Whether a resource fails before the first step.
            tags: Further run tags.
        """
        failing, shown = failing or {}, {**METADATA, **(metadata or {})}

        @dg.resource
        def disk(_: object) -> None:
            if without_resource:
                raise RuntimeError("the disk is full")

        def asset(name: str) -> dg.AssetsDefinition:
            @dg.asset(name=name, partitions_def=MOMENTS.partitions, required_resource_keys={"disk"})
            def step() -> dg.MaterializeResult[Any]:
                if name in failing:
                    raise dg.Failure(failing[name], allow_retries=False)
                return dg.MaterializeResult(metadata=shown.get(name, {}))

            return step

        definitions = dg.Definitions(
            assets=[asset(name) for name in sorted(JOB_ASSETS["full"])],
            jobs=[
                dg.define_asset_job(name, selection=sorted(of_job))
                for name, of_job in JOB_ASSETS.items()
            ],
            resources={"disk": disk},
            executor=dg.in_process_executor,
        )
        run_id = str(uuid.uuid4())
        selected = [dg.AssetKey(name) for name in assets]
        name = "__ASSET_JOB" if assets else job
        self.instance.add_dynamic_partitions("videos", [video])
        definitions.resolve_job_def(name).execute_in_process(
            instance=self.instance,
            partition_key=video,
            run_id=run_id,
            raise_on_error=False,
            tags=dict(tags or {}),
            asset_selection=selected or None,
        )
        return run_id

    def pretend(
        self, video: str, status: DagsterRunStatus, job: str = "full", **tags: str
    ) -> DagsterRun:
        """Add a run that has that status, without executing anything."""
        return self.instance.add_run(
            DagsterRun(
                job_name=job,
                run_id=str(uuid.uuid4()),
                status=status,
                tags={"dagster/partition": video, **tags},
            )
        )

    def history(self) -> list[dict[str, Any]]:
        """The table without what differs between two recordings of the same runs."""
        rows: list[dict[str, Any]] = [
            body
            for (body,) in self.storage.rows(
                "SELECT row_to_json(h)::jsonb - 'id' - 'created_at' FROM pipeline_history h "
                "ORDER BY started_at, identifier"
            )
        ]
        return rows


@pytest.fixture
def imitated(storage: Storage) -> Iterator[Imitated]:
    """An instance without any run."""
    with DagsterInstance.ephemeral() as instance:
        yield Imitated(instance=instance, storage=storage)
