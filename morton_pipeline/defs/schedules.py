"""What runs by itself, and what can be run by hand. Schedules follow the connections' cadences."""

import dagster as dg

from morton_pipeline.defs.cadences import Cadence, cadences, connections_at_load
from morton_pipeline.defs.raw import RAW_KEYS, Connections
from morton_pipeline.vendors import VENDORS

WAITING = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING,
           dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]  # fmt: skip
RAW = dg.AssetSelection.assets(*RAW_KEYS)
MARTS = dg.AssetSelection.all() - RAW - dg.AssetSelection.groups("invoices")


def is_idle(context: dg.ScheduleEvaluationContext, job_name: str) -> bool:
    """A tick that comes while the job still runs is left out: the running one reads the same."""
    return not context.instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=WAITING), limit=1)


def schedule(cadence: Cadence) -> dg.ScheduleDefinition:
    """Read the endpoints of one connection at its cadence."""
    job = dg.define_asset_job(
        f"refresh_{cadence.name}",
        selection=dg.AssetSelection.assets(*([cadence.vendor, endpoint] for endpoint in cadence.endpoints)),
        config=dg.RunConfig(ops={cadence.vendor: Connections(connections=[c for c in (cadence.connection_id,) if c])}),
        description=f"Reads {', '.join(cadence.endpoints)} from {VENDORS[cadence.vendor].title} "
        f"through {f'the connection {cadence.connection_id}' if cadence.connection_id else 'every connection'}.",
    )
    return dg.ScheduleDefinition(
        name=f"{cadence.name}_schedule",
        job=job,
        cron_schedule=cadence.cron,
        execution_timezone="UTC",
        should_execute=lambda context: is_idle(context, job.name),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Reads {', '.join(cadence.endpoints)} from {VENDORS[cadence.vendor].title} as often as "
        "connections.yaml says, or else as the vendor's page does.",
    )


reconcile = dg.define_asset_job(
    "reconcile",
    selection=MARTS,
    description="Rebuilds the discrepancies from what was last read, without reading anything anew.",
)

refresh_all = dg.define_asset_job(
    "refresh_all",
    selection=RAW | MARTS,
    description="Reads everything from every connected vendor, then rebuilds the discrepancies. A vendor that cannot "
    "be read is named, fails the run, and keeps nobody else from being read and reconciled.",
)

reconcile_schedule = dg.ScheduleDefinition(
    name="reconcile_schedule",
    job=reconcile,
    cron_schedule="40 * * * *",
    execution_timezone="UTC",
    should_execute=lambda context: is_idle(context, "reconcile"),
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Rebuilds the discrepancies every hour, once the hourly feeds have been read.",
)


@dg.definitions
def defs() -> dg.Definitions:
    """Two jobs to start by hand, and a schedule for everything that runs unattended."""
    found = cadences(connections_at_load())
    return dg.Definitions(jobs=[refresh_all, reconcile], schedules=[reconcile_schedule, *map(schedule, found)])
