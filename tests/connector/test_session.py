"""The rendezvous: each request is handed over once, and a visit that breaks off leaves no doubt about what was handed over."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from morton_pipeline.connector.session import DONE, FAILED, HARMLESS, Session
from morton_pipeline.extract.qbxml import Unanswered


@pytest.fixture
def session() -> Session:
    return Session(silence_seconds=5, patience_seconds=0.2)


Later = Callable[..., "Future[str]"]


@pytest.fixture
def later() -> Iterator[Later]:
    with ThreadPoolExecutor(4) as pool:
        yield pool.submit


def test_a_request_goes_one_way_and_its_answer_the_other(session: Session, later: Later) -> None:
    asked = later(session.ask, "<one/>")
    assert session.next_request() == "<one/>"
    assert session.receive("first") == 1
    assert asked.result(2) == "first"
    again = later(session.ask, "<two/>")
    assert session.next_request() == "<two/>"
    session.receive("second")
    assert again.result(2) == "second"
    session.finish("All done.")
    assert (session.next_request(), session.said) == ("", "All done.")


def test_the_last_answer_is_a_hundred_per_cent(session: Session, later: Later) -> None:
    def work() -> str:
        answer = session.ask("<one/>")
        session.finish("All done.")
        return answer

    asked = later(work)
    session.next_request()
    assert session.receive("answer") == DONE
    assert asked.result(2) == "answer"


def test_while_we_think_the_web_connector_does_something_harmless(session: Session, later: Later) -> None:
    assert session.next_request() == HARMLESS
    assert 0 <= session.receive("the host's own answer") < DONE
    asked = later(session.ask, "<one/>")
    assert session.next_request() == "<one/>"
    session.receive("answer")
    assert asked.result(2) == "answer"


def outcome(asked: "Future[str]") -> Unanswered:
    failure = asked.exception(3)
    assert isinstance(failure, Unanswered)
    return failure


def test_a_visit_that_is_closed_leaves_a_request_handed_over_without_an_answer(session: Session, later: Later) -> None:
    asked = later(session.ask, "<one/>")
    session.next_request()
    session.break_off("closed.")
    assert (outcome(asked).was_handed_over, str(outcome(asked))) == (True, "closed.")


def test_a_request_nobody_took_was_not_handed_over(session: Session, later: Later) -> None:
    asked = later(session.ask, "<one/>")
    session.break_off("closed.")
    assert not outcome(asked).was_handed_over
    with pytest.raises(Unanswered) as after:
        session.ask("<two/>")
    assert not after.value.was_handed_over
    assert session.next_request() == ""


def test_a_silent_visit_ends(later: Later) -> None:
    session = Session(silence_seconds=0.2, patience_seconds=0.1)
    asked = later(session.ask, "<one/>")
    session.next_request()
    assert outcome(asked).was_handed_over
    assert "silent for 0.2 s" in session.said
    assert session.receive("too late") == FAILED


def test_a_request_is_never_handed_over_twice(session: Session, later: Later) -> None:
    asked = later(session.ask, "<one/>")
    assert session.next_request() == "<one/>"
    assert session.next_request() == ""
    assert outcome(asked).was_handed_over


def test_an_answer_to_nothing_ends_the_visit(session: Session) -> None:
    assert session.receive("out of the blue") == FAILED
    assert session.next_request() == ""


def test_what_breaks_off_after_the_end_changes_nothing(session: Session) -> None:
    session.finish("All done.")
    session.break_off("closed.")
    assert (session.said, session.next_request()) == ("All done.", "")


def test_a_hundred_requests_from_threads_of_their_own_keep_their_answers(session: Session) -> None:
    got: list[str] = []

    def work() -> None:
        for number in range(100):
            got.append(session.ask(str(number)))
        session.finish("")

    worker = threading.Thread(target=work)
    worker.start()
    percents = []
    while request := session.next_request():
        percents.append(session.receive(f"answer {request}"))
    worker.join(5)
    assert got == [f"answer {n}" for n in range(100)]
    assert (percents[0], percents[-1], max(percents[:-1])) == (1, DONE, DONE - 1)
