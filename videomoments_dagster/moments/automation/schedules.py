"""Schedules: what happens by the clock.

Belongs here: one schedule per thing, and its cron expression from the settings. Does not belong
here: what is done.
"""

import dagster as dg

from videomoments_dagster.core.settings import Settings
from videomoments_dagster.moments.automation.housekeeping import HOUSEKEEPING
from videomoments_dagster.moments.resources.backlog_resource import BacklogResource

BACKLOG_TAG = "videomoments/requested_by"


def schedules_for(settings: Settings) -> list[dg.ScheduleDefinition]:
    """All schedules; each is off until somebody switches it on."""
    return [
        _unfinished_videos(settings.backlog_cron),
        dg.ScheduleDefinition(
            name="nightly_housekeeping",
            job=HOUSEKEEPING,
            cron_schedule=settings.housekeeping_cron,
            execution_timezone="UTC",
            description="""Runs `housekeeping` every night.

The time is VIDEOMOMENTS_HOUSEKEEPING_CRON. It reads and writes nothing itself. If it fails, no run
was requested; the next night asks again, and the job can be launched by hand. Off until it is
switched on.""",
        ),
    ]


def _unfinished_videos(cron: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name="unfinished_videos",
        job_name="full",
        cron_schedule=cron,
        execution_timezone="UTC",
        description="""Works through the backlog: runs `full` where something is missing or failed.

Every hour, or when VIDEOMOMENTS_BACKLOG_CRON says, it requests runs for at most
VIDEOMOMENTS_BACKLOG_RUNS videos, the newest first. A video with a run in flight is left out, and so
is one whose run failed or was cancelled within VIDEOMOMENTS_BACKLOG_RETRY_HOURS, so that what
cannot work does not keep the others from their turn. It reads rows and Dagster's runs, and writes
nothing. If it fails, no run was requested, and the next tick looks again. Off until it is switched
on.""",
    )
    def unfinished_videos(
        context: dg.ScheduleEvaluationContext, backlog: BacklogResource
    ) -> list[dg.RunRequest] | dg.SkipReason:
        """Request a run for each video that is due."""
        due = backlog.due(context.instance)
        if not due:
            return dg.SkipReason("No video is unfinished that was not tried lately.")
        tick = context.scheduled_execution_time.isoformat()
        return [
            # The same tick twice, after a crash of the daemon, asks for the same runs.
            dg.RunRequest(
                run_key=f"{tick}/{video}",
                partition_key=video,
                tags={BACKLOG_TAG: "unfinished_videos"},
            )
            for video in due
        ]

    return unfinished_videos
