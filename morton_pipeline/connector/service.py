"""The SOAP service the Web Connector calls, for one connection: who may, which visit is on, and what each call means.

Belongs here: the operations. Does not: envelopes (`soap.py`), the rendezvous (`session.py`), the work (`work.py`).
"""

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import PureWindowsPath

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from morton_pipeline.book import Connection
from morton_pipeline.connector import soap
from morton_pipeline.connector.session import FAILED, SILENCE_SECONDS, Session
from morton_pipeline.connector.setup import Login, path
from morton_pipeline.connector.work import Work
from morton_pipeline.extract.qbxml import SIZE_CAP, VERSION, BadXml

NO_WORK, NOT_VALID = "none", "nvu"
BODY_CAP = SIZE_CAP
XML = "text/xml; charset=utf-8"

_log = logging.getLogger(__name__)

Result = str | int | Sequence[str]


class Service:
    """What the Web Connector may call. One visit at a time: while one is on, another finds nothing to do."""

    def __init__(
        self, connection: Connection, work: Work, login: Login, *, open_session: Callable[[], Session] | None = None
    ) -> None:
        self._connection, self._work, self._login = connection, work, login
        silence = float(connection.settings.get("timeout_seconds", SILENCE_SECONDS))
        self._open_session = open_session or (lambda: Session(silence_seconds=silence))
        self._session: Session | None = None
        self._worker: threading.Thread | None = None
        self._beginning = threading.Lock()
        self._welcomed = ""
        """The ticket of the visit whose company file and version were looked at."""

    def call(self, operation: soap.Operation, given: dict[str, str]) -> Result:
        """Answer a call."""
        answers: dict[str, Callable[[dict[str, str]], Result]] = {
            "serverVersion": lambda _: "Morton 1.0",
            "clientVersion": lambda _: "",
            "authenticate": self._authenticate,
            "sendRequestXML": self._send_request,
            "receiveResponseXML": self._receive_response,
            "connectionError": self._connection_error,
            "getLastError": self._last_error,
            "closeConnection": self._close,
        }
        return answers[operation.name](given)

    def _visit(self, given: dict[str, str]) -> Session | None:
        session = self._session
        return session if session is not None and given["ticket"] == session.ticket else None

    def _authenticate(self, given: dict[str, str]) -> Result:
        if not self._login.admits(given["strUserName"], given["strPassword"]):
            _log.warning("%s: somebody signed in with a wrong name or password", self._connection.id)
            return ["", NOT_VALID]
        with self._beginning:
            if (self._worker is not None and self._worker.is_alive()) or not self._work.is_waiting():
                return ["", NO_WORK]
            session = self._session = self._open_session()
            self._worker = threading.Thread(target=self._work.run, args=(session,), name="visit", daemon=True)
            self._worker.start()
        return [session.ticket, str(self._connection.settings["company_file"])]

    def _send_request(self, given: dict[str, str]) -> Result:
        session = self._visit(given)
        if session is None:
            return ""
        if self._welcomed != session.ticket:
            if why := self._unwelcome(given):
                session.break_off(why)
                return ""
            self._welcomed = session.ticket
        return session.next_request()

    def _unwelcome(self, given: dict[str, str]) -> str | None:
        """Say why nothing may be asked of this QuickBooks: it has another company open, or is too old."""
        meant, opened = str(self._connection.settings["company_file"]), given["strCompanyFileName"]
        # The same file is seen under another drive or share from another machine; its name stays.
        if opened and PureWindowsPath(opened).name.lower() != PureWindowsPath(meant).name.lower():
            return (
                f"QuickBooks has {opened} open, and connection {self._connection.id} is for {meant}: nothing was sent. "
                "Open that company file, or correct `company_file:` in connections.yaml."
            )
        major, minor = given["qbXMLMajorVers"] or "0", given["qbXMLMinorVers"] or "0"
        if (int(major), int(minor)) < tuple(int(part) for part in VERSION.split(".")):
            return f"QuickBooks speaks qbXML {major}.{minor}, and {VERSION} is needed: QuickBooks 2014 or later."
        return None

    def _receive_response(self, given: dict[str, str]) -> Result:
        session = self._visit(given)
        if session is None:
            return FAILED
        if given["hresult"]:
            session.break_off(f"QuickBooks reported {given['hresult']} {given['message']}".strip() + ".")
            return FAILED
        return session.receive(given["response"])

    def _connection_error(self, given: dict[str, str]) -> Result:
        if session := self._visit(given):
            said = f"{given['hresult']} {given['message']}".strip()
            session.break_off(f"the Web Connector could not reach QuickBooks ({said}).")
        return "done"

    def _last_error(self, given: dict[str, str]) -> Result:
        session = self._visit(given)
        return _UNKNOWN if session is None else session.said

    def _close(self, given: dict[str, str]) -> Result:
        session = self._visit(given)
        if session is None:
            return _UNKNOWN
        session.break_off("the Web Connector closed the connection.")
        return session.said


_UNKNOWN = "This visit is over, or Morton was started anew meanwhile. The next one goes on."


def create_app(service: Service, connection: Connection, address: str) -> Starlette:
    """Serve one connection at its path; everything that is no call of the Web Connector is answered with a fault."""

    async def called(request: Request) -> Response:
        try:
            operation, given = soap.read(await _body(request))
            _check_numbers(operation, given)
        except BadXml as problem:
            return Response(soap.fault(str(problem), is_callers=True), 500, media_type=XML)
        try:
            result = await run_in_threadpool(service.call, operation, given)
        except Exception:
            _log.exception("%s: %s met an error of ours", connection.id, operation.name)
            said = "Something went wrong in Morton itself; its log says what."
            return Response(soap.fault(said, is_callers=False), 500, media_type=XML)
        return Response(soap.write(operation, result), media_type=XML)

    def described(request: Request) -> Response:
        if "wsdl" in {word.lower() for word in request.query_params}:
            return Response(soap.wsdl(address), media_type=XML)
        return PlainTextResponse("Morton waits for the QuickBooks Web Connector here; its docs say how that is set up.")

    at = path(connection)
    return Starlette(routes=[Route(at, called, methods=["POST"]), Route(at, described, methods=["GET"])])


async def _body(request: Request) -> bytes:
    """Read a body up to the cap, whatever length it announces."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BODY_CAP:
            raise BadXml(f"the message is larger than {BODY_CAP // 2**20} MiB.")
        chunks.append(chunk)
    return b"".join(chunks)


def _check_numbers(operation: soap.Operation, given: dict[str, str]) -> None:
    for name, kind in operation.parameters.items():
        if kind == soap.NUMBER and given[name] and not given[name].strip().isdecimal():
            raise BadXml(f"{name} is no number.")
