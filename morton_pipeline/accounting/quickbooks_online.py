"""QuickBooks Online as a place invoices go. An invoice posts the moment it is created: there is no draft to take back.

Belongs here: QuickBooks' requests, and what each of its answers means for us. Reading for reconciliation stands in
`vendors/quickbooks_online.py`; authentication is shared with it.
"""

import json
import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import httpx

from morton_pipeline.accounting.adapter import Found, FoundLine
from morton_pipeline.accounting.drafts import Draft
from morton_pipeline.accounting.errors import LookupFailed, NotSent, OutcomeUnknown, Refused, RunStopped
from morton_pipeline.book import Connection
from morton_pipeline.clock import wall
from morton_pipeline.extract import errors as extract_errors
from morton_pipeline.extract.auth import Credentials
from morton_pipeline.extract.errors import retry_after
from morton_pipeline.extract.http import LONGEST_WAIT, redact, redact_logs
from morton_pipeline.ledger.canonical import canonical
from morton_pipeline.ledger.store import Ledger
from morton_pipeline.ledger.tokens import LedgerTokens
from morton_pipeline.vendors.quickbooks_online import MINOR_VERSION, PAGE, VENDOR

TIMEOUT_SECONDS = 135
"""QuickBooks works on a request for up to 120 s; giving up sooner would make outcomes uncertain that are not."""

SAID = 600
"""Characters of QuickBooks' own words we pass on."""

_CLOSED = re.compile(r"period (is |has been )?closed|closed period|books (are|have been) closed", re.IGNORECASE)

Json = Any


def open_quickbooks(
    connection: Connection,
    ledger: Ledger,
    *,
    transport: httpx.BaseTransport | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> "QuickBooksOnline":
    """Open a connection to one company, with the refresh token the ledger keeps."""
    redact_logs()
    timeout = float(connection.settings.get("timeout_seconds", TIMEOUT_SECONDS))
    secrets = connection.secret_values()
    learned: set[str] = set()
    credentials = Credentials(
        connection_id=connection.id,
        secrets=secrets,
        base_url=connection.base_url,
        auth_url=connection.auth_url,
        tokens=LedgerTokens(ledger),
        learned=learned,
    )
    http = httpx.Client(
        base_url=f"{connection.base_url}/v3/company/{connection.settings['realm_id']}/",
        auth=_InTurn(VENDOR.auth(credentials)),
        timeout=httpx.Timeout(timeout, connect=min(timeout, 15)),
        headers={"Accept": "application/json", "User-Agent": "morton-pipeline"},
        follow_redirects=False,
        transport=transport,
    )
    return QuickBooksOnline(connection, http, lambda text: redact(text, {*secrets.values(), *learned}), sleep)


class _InTurn(httpx.Auth):
    """Drives the vendor's auth flow without asyncio: the token's answer is read, and has our deadlines."""

    def __init__(self, flow: httpx.Auth) -> None:
        self._flow = flow

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        flow = self._flow.auth_flow(request)
        outgoing = next(flow)
        while True:
            outgoing.extensions = {**request.extensions, **outgoing.extensions}
            response = yield outgoing
            if outgoing is not request:
                response.read()
            try:
                outgoing = flow.send(response)
            except StopIteration:
                return


@dataclass(frozen=True)
class _Answer:
    """One answer: its status, its body where that is whole JSON, and what support asks for."""

    status: int
    body: Mapping[str, Json] | None
    trace: str
    retry_after: float | None


class QuickBooksOnline:
    """One QuickBooks Online company."""

    title = "QuickBooks"
    needs_ids = True

    def __init__(
        self, connection: Connection, http: httpx.Client, hide: Callable[[str], str], sleep: Callable[[float], None]
    ) -> None:
        self.destination = connection.id
        self._connection, self._http, self._hide, self._sleep = connection, http, hide, sleep
        self._attempts = int(connection.settings.get("attempts", 3))
        self._backoff = float(connection.settings.get("backoff_seconds", 1))

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def check(self) -> None:
        """Refuse to begin when QuickBooks would number invoices itself: ours could not be found again."""
        try:
            found = self._query("Preferences", "")
        except (LookupFailed, NotSent, Refused):
            return  # a company that will not say is asked again by the first lookup
        for preferences in found:
            if preferences.get("SalesFormsPrefs", {}).get("CustomTxnNumbers") is False:
                raise RunStopped(
                    f"{self.destination}: QuickBooks numbers invoices itself. Turn on Custom transaction numbers "
                    "(Account and settings, Sales), then post again: our number is how an invoice is found again."
                )

    def render(self, draft: Draft) -> str:
        """Write the invoice. Without a date of its own it takes the day it arrives, which no closed period can hold."""
        lines = [
            {
                "LineNum": number,
                "Description": line.description,
                "Amount": line.amount,
                "DetailType": "SalesItemLineDetail",
                "SalesItemLineDetail": {
                    "ItemRef": {"value": item_id},
                    "Qty": line.quantity,
                    "UnitPrice": line.unit_price,
                    "ServiceDate": draft.period_month,
                },
            }
            for number, (line, item_id) in enumerate(zip(draft.lines, draft.item_ids, strict=True), start=1)
        ]
        invoice = {
            "DocNumber": draft.reference,
            "CustomerRef": {"value": draft.customer_id},
            "CurrencyRef": {"value": draft.currency},
            "PrivateNote": draft.note,
            "Line": lines,
        }
        return canonical(invoice, decimals_as_numbers=True)

    def expect(self, payload: str) -> Found:
        """Read a body back as the invoice it asks for."""
        return _found(json.loads(payload, parse_float=Decimal))

    def find(self, reference: str) -> list[Found]:
        """Every invoice numbered with our reference."""
        return [_found(i) for i in self._query("Invoice", f" where DocNumber = '{_quoted(reference)}'")]

    def look_alikes(self, customer_id: str, since: date) -> list[Found]:
        """The customer's invoices dated since a day. A company that refuses this question is not stopped by it."""
        found: list[Found] = []
        where = f" where CustomerRef = '{_quoted(customer_id)}' and TxnDate >= '{since}'"
        while True:
            try:
                rows = self._query("Invoice", f"{where} startposition {len(found) + 1} maxresults {PAGE}")
            except Refused:
                return found
            found.extend(_found(row) for row in rows)
            if len(rows) < PAGE:
                return found

    def create(self, payload: str, key: str) -> str:
        """Create the invoice. Whatever is not a clear yes or no is unknown."""
        try:
            answer = self._exchange("POST", "invoice", {"requestid": key}, payload, LONGEST_WAIT)
        except httpx.HTTPError as failure:
            if self._is_token_request(failure):
                raise NotSent(
                    f"{self.destination}: no token was issued ({self._told(failure)}); nothing was sent."
                ) from None
            raise OutcomeUnknown(f"QuickBooks gave no answer ({self._told(failure)}).") from None
        said = self._said(answer.body)
        if answer.status >= 500 or answer.status == 408 or answer.status // 100 == 3:
            raise OutcomeUnknown(f"QuickBooks answered {answer.status}{f', {said}' if said else ''}{answer.trace}.")
        if said or answer.status >= 400:
            raise Refused(
                f"{said or f'status {answer.status}'}{answer.trace}",
                is_duplicate="duplicate document number" in said.lower(),
                is_closed_period=bool(_CLOSED.search(said)),
            )
        invoice = (answer.body or {}).get("Invoice")
        if not isinstance(invoice, dict) or not invoice.get("Id"):
            raise OutcomeUnknown(f"QuickBooks answered {answer.status} without an invoice{answer.trace}.")
        return str(invoice["Id"])

    def read_back(self, accounting_id: str) -> Found | None:
        """Read one invoice by its id."""
        try:
            body = self._ask(f"invoice/{accounting_id}", {})
        except Refused as failure:
            if re.search(r"object not found|610\b", str(failure), re.IGNORECASE):
                return None
            raise
        if not isinstance(body.get("Invoice"), dict):
            raise LookupFailed(f"QuickBooks answered for invoice {accounting_id} without one.")
        return _found(body["Invoice"])

    def _query(self, entity: str, rest: str) -> list[dict[str, Json]]:
        body = self._ask("query", {"query": f"select * from {entity}{rest}"})
        if not isinstance(body.get("QueryResponse"), dict):
            raise LookupFailed(f"QuickBooks answered the query for {entity} without a QueryResponse.")
        return list(body["QueryResponse"].get(entity) or [])

    def _ask(self, path: str, params: Mapping[str, str]) -> Mapping[str, Json]:
        """Ask a question, again when there was no answer: a question changes nothing."""
        for attempt in range(1, self._attempts + 1):
            try:
                return self._asked(path, params)
            except LookupFailed:
                if attempt == self._attempts:
                    raise
                self._sleep(self._backoff * 2 ** (attempt - 1))
        raise AssertionError("at least one attempt is made")

    def _asked(self, path: str, params: Mapping[str, str]) -> Mapping[str, Json]:
        try:
            answer = self._exchange("GET", path, params, None, LONGEST_WAIT)
        except httpx.HTTPError as failure:
            raise LookupFailed(f"QuickBooks gave no answer ({self._told(failure)}).") from None
        said = self._said(answer.body)
        if answer.status >= 500 or answer.status == 408 or answer.body is None:
            raise LookupFailed(f"QuickBooks answered {answer.status}{f', {said}' if said else ''}{answer.trace}.")
        if said or answer.status >= 400:
            raise Refused(f"{said or f'status {answer.status}'}{answer.trace}")
        return answer.body

    def _exchange(
        self, method: str, path: str, params: Mapping[str, str], content: str | None, patience: float
    ) -> _Answer:
        """Send one request; a request turned away for its pace is sent once more after the pause asked for.

        Raises `httpx.HTTPError` when there was no whole answer, `RunStopped` and `NotSent` when it was turned away.
        """
        for is_last in (False, True):
            answer = self._once(method, path, params, content)
            if not _is_throttled(answer):
                self._refuse_outsiders(answer)
                return answer
            pause = answer.retry_after
            if is_last or pause is None or pause > patience:
                break
            self._sleep(pause)
        when = f" after {round(pause)} s" if pause is not None else ""
        raise NotSent(f"QuickBooks asks us to slow down; the next run goes on{when}{answer.trace}.")

    def _once(self, method: str, path: str, params: Mapping[str, str], content: str | None) -> _Answer:
        try:
            response = self._http.request(
                method,
                path,
                params={**params, "minorversion": MINOR_VERSION},
                content=None if content is None else content.encode(),
                headers={} if content is None else {"Content-Type": "application/json"},
            )
        except extract_errors.CredentialsRefused as failure:
            raise RunStopped(self._reconnect(self._hide(str(failure)))) from None
        except extract_errors.ExtractError as failure:
            raise NotSent(
                f"{self.destination}: no token was issued; nothing was sent. {self._hide(str(failure))}"
            ) from None
        tid = response.headers.get("intuit_tid")
        trace = f" (intuit_tid {self._hide(tid)[:100]})" if tid and response.status_code != 200 else ""
        return _Answer(
            response.status_code, _body(response), trace, retry_after(response.headers.get("retry-after"), wall())
        )

    def _refuse_outsiders(self, answer: _Answer) -> None:
        """Stop the run when QuickBooks does not let us in at all."""
        said, kind = self._said(answer.body), _fault_type(answer.body)
        if answer.status == 401 or "authentication" in kind:
            words = f", {said}" if said else ""
            raise RunStopped(self._reconnect(f"QuickBooks answered {answer.status}{words}{answer.trace}."))
        if "authorization" in kind or re.search(r"\((120|6190)\)", said):
            raise RunStopped(
                f"{self.destination}: QuickBooks does not let this app write invoices ({said}){answer.trace}. "
                "Check the company's subscription and the app's permissions, then post again."
            )

    def _reconnect(self, what: str) -> str:
        variable = self._connection.secrets["refresh_token"]
        return (
            f"{self.destination}: {what} Nothing was sent. Put a fresh refresh token into {variable}, then post again."
        )

    def _said(self, body: Mapping[str, Json] | None) -> str:
        """QuickBooks' own words as we pass them on, cut after redaction: half a secret is still a secret."""
        return self._hide(_fault(body))[:SAID]

    def _is_token_request(self, failure: httpx.HTTPError) -> bool:
        try:
            return "/v3/company/" not in failure.request.url.path
        except RuntimeError:
            return False

    def _told(self, failure: httpx.HTTPError) -> str:
        return (
            "timeout"
            if isinstance(failure, httpx.TimeoutException)
            else self._hide(str(failure)) or type(failure).__name__
        )


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _body(response: httpx.Response) -> Mapping[str, Json] | None:
    try:
        body = json.loads(response.content, parse_float=Decimal)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _faults(body: Mapping[str, Json] | None) -> tuple[Mapping[str, Json], Iterator[Mapping[str, Json]]]:
    """Find a Fault in an answer of any status; both spellings of its keys occur."""
    fault = {str(k).lower(): v for k, v in ((body or {}).get("Fault") or (body or {}).get("fault") or {}).items()}
    return fault, ({str(k).lower(): v for k, v in e.items()} for e in fault.get("error") or ())


def _fault(body: Mapping[str, Json] | None) -> str:
    """Return QuickBooks' own words, or nothing when there is no Fault."""
    fault, said = _faults(body)
    words = "; ".join(
        ": ".join(str(e[k]) for k in ("message", "detail") if e.get(k)) + f" ({e.get('code')})" for e in said
    )
    return words or ("a Fault without words" if fault else "")


def _fault_type(body: Mapping[str, Json] | None) -> str:
    return str(_faults(body)[0].get("type") or "").lower()


def _is_throttled(answer: _Answer) -> bool:
    return answer.status == 429 or "throttleexceeded" in _fault(answer.body).lower()


def _found(invoice: Mapping[str, Json]) -> Found:
    """Read an invoice. The closing subtotal and lines of text do not count towards the total; every other line does."""
    lines = []
    for line in invoice.get("Line") or ():
        kind = re.sub("_", "", str(line.get("DetailType"))).lower()
        if kind in ("subtotallinedetail", "descriptiononly"):
            continue
        detail = line.get("SalesItemLineDetail") or {}
        item = str((detail.get("ItemRef") or {}).get("value") or kind)
        amount = _decimal(line.get("Amount"))
        lines.append(
            FoundLine(item, -amount if kind == "discountlinedetail" else amount, _day(detail.get("ServiceDate")))
        )
    return Found(
        accounting_id=str(invoice.get("Id") or ""),
        reference=str(invoice.get("DocNumber") or ""),
        customer_id=str((invoice.get("CustomerRef") or {}).get("value") or ""),
        currency=str((invoice.get("CurrencyRef") or {}).get("value") or ""),
        lines=tuple(lines),
        note=str(invoice.get("PrivateNote") or ""),
        dated_on=_day(invoice.get("TxnDate")),
    )


def _decimal(value: Json) -> Decimal:
    return Decimal(str(value)) if value is not None else Decimal(0)


def _day(text: Json) -> date | None:
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        return None
