"""Close the runs that a killed service left open. `morton serve` calls it before anything is scheduled."""

import dagster as dg

UNFINISHED = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
LAUNCHED_BY_SERVICE = ".dagster/grpc_info"


def settle(instance: dg.DagsterInstance) -> int:
    """Report as failed every unfinished run that a code server launched; there is none running now."""
    runs = [run for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)) if LAUNCHED_BY_SERVICE in run.tags]
    for run in runs:
        instance.report_run_failed(run, "The service was stopped while this was running. Nothing half-done was kept.")
    return len(runs)


if __name__ == "__main__":
    with dg.DagsterInstance.get() as current:
        settle(current)
