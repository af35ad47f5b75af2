"""One visit of the Web Connector: a thread of ours asks, the Web Connector fetches each request and brings its answer.

Belongs here: the rendezvous of the two, and what a visit that breaks off means for the request under way. Does not:
what is asked, or SOAP.

A request is handed over once. If the Web Connector asks for work again without an answer, answers what it was not
asked, reports an error, closes, or falls silent, the visit is over, and the request under way has no answer: it may
have been carried out if it had been handed over, and was not if it had not.
"""

import secrets
import threading
import time

from morton_pipeline.extract import qbxml

PATIENCE_SECONDS = 15.0
"""How long the Web Connector is kept waiting for our next request before it is given something harmless to do."""
SILENCE_SECONDS = 600.0
"""How long QuickBooks may work on one request; a visit that is silent for longer is over."""
HARMLESS = qbxml.message_set([("HostQueryRq", {})])
"""What the Web Connector is given while we think: an empty answer would end the visit."""
DONE, FAILED = 100, -1


class Session:
    """The rendezvous. `ask` and `finish` are our thread's side, everything else the Web Connector's."""

    def __init__(self, *, silence_seconds: float = SILENCE_SECONDS, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.ticket = secrets.token_hex(16)
        self.said = ""
        """What the Web Connector shows its user in the end, or why the visit broke off."""
        self._silence, self._patience = silence_seconds, patience_seconds
        self._changed = threading.Condition()
        self._request: str | None = None
        self._answers: list[str] = []
        """The answer to the request under way, once it is there."""
        self._is_handed_over = self._is_harmless = self._is_finished = self._is_over = False
        self._answer_count = 0
        self._heard_at = time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether it broke off: nothing can be asked any more."""
        return self._is_over

    def ask(self, request: str) -> str:
        """Have QuickBooks carry a message set out and return its answer. Raises `Unanswered`."""
        with self._changed:
            if self._is_over:
                raise qbxml.Unanswered(self.said, was_handed_over=False)
            self._request, self._is_handed_over = request, False
            self._changed.notify_all()
            while not self._answers and not self._is_over:
                left = self._heard_at + self._silence - time.monotonic()
                if left <= 0:
                    self._end(f"the Web Connector has been silent for {self._silence:g} s.")
                self._changed.wait(left)
            self._request = None
            if not self._answers:
                raise qbxml.Unanswered(self.said, was_handed_over=self._is_handed_over)
            return self._answers.pop()

    def finish(self, said: str) -> None:
        """Nothing more will be asked."""
        with self._changed:
            self._is_finished = True
            self.said = self.said or said
            self._changed.notify_all()

    def next_request(self) -> str:
        """Hand the next request over; nothing when there is none and will be none."""
        with self._changed:
            self._heard_at = time.monotonic()
            if self._is_under_way():
                self._end("the Web Connector asked for work again without an answer to the last.")
            self._changed.wait_for(self._is_settled, self._patience)
            if self._is_over or self._is_finished:
                return ""
            if self._is_waiting():
                self._is_handed_over = True
                return str(self._request)
            self._is_harmless = True
            return HARMLESS

    def receive(self, answer: str) -> int:
        """Take an answer and return how far we are, in per cent; below nothing where the visit is over."""
        with self._changed:
            self._heard_at = time.monotonic()
            if self._is_harmless:
                self._is_harmless = False
            elif self._is_under_way():
                self._answers.append(answer)
                self._answer_count += 1
                self._changed.notify_all()
            else:
                self._end("the Web Connector brought an answer to nothing.")
            self._changed.wait_for(self._is_settled, self._patience)
            return FAILED if self._is_over else DONE if self._is_finished else min(self._answer_count, DONE - 1)

    def break_off(self, why: str) -> None:
        """End the visit: what is under way has no answer."""
        with self._changed:
            if not self._is_finished:
                self._end(why)

    def _end(self, why: str) -> None:
        self._is_over = True
        self.said = self.said or why
        self._changed.notify_all()

    def _is_waiting(self) -> bool:
        return self._request is not None and not self._is_handed_over

    def _is_under_way(self) -> bool:
        return self._request is not None and self._is_handed_over and not self._answers

    def _is_settled(self) -> bool:
        return self._is_over or self._is_finished or self._is_waiting()
