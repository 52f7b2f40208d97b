"""Jobs: which assets a run materialises.

Belongs here: one `define_asset_job` per kind of run, and the selections they stand for. Does not
belong here: what an asset does, or when a job runs.
"""

from __future__ import annotations

import dagster as dg

from videomoments_dagster.defs.checks.stored import STORED_CHECKS
from videomoments_dagster.history.run_facts import JOB_ASSETS

_DESCRIPTIONS = {
    "full": "Everything, from the source to the thumbnails. What has not changed is kept.",
    "moments_only": "New moments from the stored transcript, with another profile, say. "
    "Run `clips_only` after it to cut clips of the new ones.",
    "scores_only": "New scores of the stored moments, with other criteria, say. Nothing is found "
    "again unless something else has changed.",
    "clips_only": "Clips and thumbnails of the stored moments; only what is missing is made.",
}

CONFIG_OF_JOB = {
    "scores_only": {
        "ops": {asset: {"config": {"rescore": True}} for asset in ("moments", "refined_moments")}
    }
}
"""Run config that a job has where a run of it gives none."""

_STORED_CHECKS = dg.AssetSelection.checks(*STORED_CHECKS)

JOBS = [
    dg.define_asset_job(
        name=name,
        # A run that changes nothing reads no object; checks of an asset's own step come with it.
        selection=dg.AssetSelection.assets(*sorted(assets)) - _STORED_CHECKS,
        description=_DESCRIPTIONS[name],
        config=CONFIG_OF_JOB.get(name),
    )
    for name, assets in JOB_ASSETS.items()
]
