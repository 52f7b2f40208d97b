"""What happens by the clock, and without anybody asking."""

import dagster as dg
from dagster import RunsFilter

from videomoments_dagster.moments.backlog import BacklogResource
from videomoments_dagster.moments.intake.intake import InboxResource
from videomoments_dagster.moments.system import MOMENTS

BACKLOG_TAG = "videomoments/requested_by"
ARRIVALS_PER_TICK = 100
SECONDS_PER_TICK = 20.0
"""Dagster ends a tick after 60 s; half of that is left for one slow file and the listing."""

_SHOWN = 10


@dg.sensor(
    name="inbox",
    job_name="full",
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="""Takes in new videos from the inbox and runs 'full' for each, once.

Reads the folder or bucket of VIDEOMOMENTS_INBOX (unless set, the folder 'inbox' in
VIDEOMOMENTS_HOME) and the manifest of VIDEOMOMENTS_INBOX_MANIFEST. A file counts when nobody
has written to it for some seconds; 'talk.srt' beside 'talk.mp4' is taken for its captions. The same
bytes under another name are recognised, and what is no video is noted once; the tick says both.
It writes a registration for each new video. Many files are worked through some at a time. If it
fails, the inbox could not be listed: nothing is lost, and the next tick looks again.""",
)
def inbox(context: dg.SensorEvaluationContext, inbox: InboxResource) -> dg.SensorResult:
    """Register what is new, and ask for the runs that are not there yet."""
    instance = context.instance
    taken = inbox.take_in(
        instance,
        after=context.cursor or "",
        most=ARRIVALS_PER_TICK,
        seconds=SECONDS_PER_TICK,
        log=context.log,
    )
    wanted = inbox.wanted_runs(
        lambda run_key: bool(
            instance.get_run_records(RunsFilter(tags={"dagster/run_key": run_key}), limit=1)
        ),
        most=ARRIVALS_PER_TICK,
    )
    sentences = [
        *(f"{location} has the same bytes as '{name}'" for location, name in taken.duplicates),
        *(f"{location} was not taken in: {why}" for location, why in taken.rejected),
        *(f"{location} waits: {why}" for location, why in taken.waiting),
    ]
    for sentence in sentences:
        context.log.warning("%s.", sentence.rstrip("."))
    requests = [
        dg.RunRequest(run_key=run.run_key, partition_key=run.identifier, job_name="full")
        for run in wanted
    ]
    said = None
    if not requests:
        more = len(sentences) - _SHOWN
        said = "; ".join(sentences[:_SHOWN]) or "Nothing new."
        said += f"; and {more} more" if more > 0 else ""
    return dg.SensorResult(run_requests=requests, skip_reason=said, cursor=taken.after)


def unfinished_videos_schedule(cron: str) -> dg.ScheduleDefinition:
    """The schedule of the backlog; off until somebody switches it on."""

    @dg.schedule(
        name="unfinished_videos",
        job_name="full",
        cron_schedule=cron,
        execution_timezone="UTC",
        description="""Works through the backlog: runs 'full' where something is unfinished.

That is where a result is missing or stale, or the last run failed. Every hour, or when
VIDEOMOMENTS_BACKLOG_CRON says, it requests runs for at most VIDEOMOMENTS_BACKLOG_RUNS videos, the
newest first. A run makes only what is missing, or was made from results that are others by now, and
what is made from that. A video with a run in flight is left out, and so is one whose run failed or
was cancelled within VIDEOMOMENTS_BACKLOG_RETRY_HOURS, so that what cannot work does not keep the
others from their turn. It reads rows and Dagster's runs, and writes nothing. If it fails, no run
was requested, and the next tick looks again. Off until it is switched on.""",
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
                asset_selection=[MOMENTS.assets[name].key for name in sorted(assets)] or None,
                tags={BACKLOG_TAG: "unfinished_videos"},
            )
            for video, assets in due.items()
        ]

    return unfinished_videos
