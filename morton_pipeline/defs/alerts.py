"""When somebody is told: a run failed, for a reason that is new, or a secret expires. `alerts:` says where to."""

import dagster as dg

from morton_pipeline.alerts import notify
from morton_pipeline.clock import now
from morton_pipeline.defs.resources import BookResource


def failure_text(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """What the failed steps said, without tracebacks."""
    failed = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    said = []
    for entry in failed:
        data = entry.dagster_event.step_failure_data if entry.dagster_event else None
        given = data.user_failure_data if data else None
        error = data.error_display_string if data and data.error else ""
        last = [line for line in error.splitlines() if line and not line.startswith((" ", "Stack", "The above"))]
        said.append((given.description if given else None) or (last[-1] if last else "no reason was recorded"))
    return "\n".join(said) or "The run ended before any step could say why; see its log."


def is_new(instance: dg.DagsterInstance, run: dg.DagsterRun, text: str) -> bool:
    """A feed that is down fails every two minutes; its second identical failure in a row is not news."""
    finished = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
    recent = instance.get_runs(dg.RunsFilter(job_name=run.job_name, statuses=finished), limit=20)
    ids = [r.run_id for r in recent]
    before = recent[ids.index(run.run_id) + 1 :] if run.run_id in ids else recent
    return not (before and before[0].is_failure and failure_text(instance, before[0]) == text)


def tell_once(context: dg.SensorEvaluationContext, book: BookResource, title: str, text: str) -> None:
    """Send one message about a sensor that cannot look: no run fails then. Until the message changes, once is enough.

    The sensor's cursor remembers what was told last; Dagster keeps it only of a tick that ends well, so the caller
    skips, and a message that cannot be sent fails the tick and is tried again at the next.
    """
    if context.cursor != text:
        notify(book.open(), title, text)
        context.update_cursor(text)


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    description="Tells somebody, by webhook or e-mail, that a run failed. Silent unless connections.yaml has "
    "`alerts:`, and silent about the same failure of the same job twice in a row.",
)
def alert_on_failure(context: dg.RunFailureSensorContext, book: BookResource) -> None:
    """Send one message about a failed run."""
    run, text = context.dagster_run, failure_text(context.instance, context.dagster_run)
    if is_new(context.instance, run, text):
        notify(book.open(), f"{run.job_name} failed", f"{text}\nRun {run.run_id}")


@dg.sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=3600,
    description="Tells somebody that a connection's secrets expire soon, as `secret_expires_on:` in connections.yaml "
    "says, and again on the day they do. Silent unless connections.yaml has `alerts:`.",
)
def alert_before_expiry(context: dg.SensorEvaluationContext, book: BookResource) -> dg.SkipReason:
    """Send one message about all secrets that expire soon."""
    said = [text for connection in book.open().connections if (text := connection.expiry(now().date()))]
    if not said:
        return dg.SkipReason("No secret expires soon.")
    text = "\n".join(said)
    tell_once(context, book, "Secrets expire", text)
    return dg.SkipReason(text)


@dg.definitions
def defs() -> dg.Definitions:
    """The sensors that tell somebody."""
    return dg.Definitions(sensors=[alert_on_failure, alert_before_expiry])
