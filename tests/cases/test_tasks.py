"""What is given up or left out is a task until its cause is mended."""

from datetime import date

from tests.cases.scenario import Mart, Scenario

UNTIL = date(2027, 2, 1)


def given_differences_that_are_given_up(msp: Scenario) -> None:
    for client, action, cause in (("forgiven", "write_off", "contract"), ("lent-a-pc", "exclude", "policy")):
        msp.client(client)
        msp.devices(client, 2)
        msp.devices(client, 1, since=date(2026, 11, 5))
        msp.contract(client, "workstation", 2, "40", effective_from="2026-09-01")
        msp.decide(client, action, until=UNTIL, cause=cause)


def _tasks(mart: Mart, client: str) -> list[dict[str, object]]:
    return mart.ask("select * from marts.fix_tasks where client_id = ?", client)


def test_case_65_what_is_written_off_is_a_task_with_its_money(after: Mart) -> None:
    (task,) = _tasks(after, "forgiven")
    assert (task["service_id"], task["cause"], task["decision_count"], task["is_chronic"]) == (
        "workstation",
        "contract",
        1,
        False,
    )
    assert (task["written_off_amount"], task["currency"], task["is_open"], task["holds_until_on"]) == (
        40,
        "USD",
        True,
        UNTIL,
    )
    assert (task["last_decided_by"], task["to_do"]) == ("Fay", "Have the contract say what was meant: contracts.csv.")


def test_case_65_what_is_excluded_is_a_task_too(after: Mart) -> None:
    (task,) = _tasks(after, "lent-a-pc")
    assert (task["cause"], task["written_off_amount"]) == ("policy", None)
    assert "exclusions.csv" in str(task["to_do"])
