"""Jobs: which assets a run materialises.

Belongs here: one `define_asset_job` per kind of run, and the selections they stand for. Does not
belong here: what an asset does, or when a job runs.
"""

from __future__ import annotations

import dagster as dg

from videomoments_dagster.moments.checks.stored_checks import STORED_CHECKS
from videomoments_dagster.moments.history.run_facts import JOB_ASSETS

_DESCRIPTIONS = {
    "full": """Everything, from the source to the thumbnails.

Reads the registered source of the video, and writes the rows and files of all seven assets. What
has not changed is kept: a second run takes seconds, and reads and writes no file. If it fails, the
failed step says what mends it; run it again, and it goes on where it was.""",
    "moments_only": """New moments from the stored transcript, with another profile, say.

Reads the stored transcript and a profile; writes the rows of `generation_configs` and `moments`,
and removes moments that are no more, with their clips. Run `clips_only` after it to cut clips of
the new ones. If it fails, a model's server or a stored result is missing; the message says which,
and answers that a model gave are kept for the next run.""",
    "scores_only": """New scores of the stored moments, with other criteria, say.

Reads the stored moments and transcript; writes scores into the rows of `moments`. Nothing is found
again unless something else has changed. If it fails, the model that scores is missing or away; the
old scores stay.""",
    "clips_only": """Clips and thumbnails of the stored moments; only what is missing is made.

Reads the stored video and moments; writes MP4 and JPEG files, and rows of `clips` and `thumbnails`.
If it fails, or is partial, the run's log says which clip and why; run it again, and only that one
is tried.""",
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
