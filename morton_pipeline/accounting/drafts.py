"""Approved decisions become invoice drafts: one per client × period × currency, to the cent that was approved.

Belongs here: which decisions may be sent now and how their lines read. Writes nothing; a dry run is this and no more.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from morton_pipeline.accounting.seeds import Seeds
from morton_pipeline.errors import BadInput
from morton_pipeline.ledger import decisions, invoices
from morton_pipeline.ledger.canonical import canonical, digest, text_digest
from morton_pipeline.ledger.invoices import Invoice, Line
from morton_pipeline.ledger.lines import line_digest, line_of
from morton_pipeline.ledger.store import Ledger

MOST_LINES = 200
"""Lines of one invoice, whatever a system takes: the note must have room for every decision's id."""

_MARK = re.compile(r"\bMorton (M[A-Z0-9-]+):")

VOIDED = "Reopen the approval; what is still owed is approved anew and gets a number of its own."

if TYPE_CHECKING:
    from morton_pipeline.accounting.adapter import Adapter

Decision = dict[str, Any]


@dataclass(frozen=True)
class Draft:
    """An invoice as it would be sent now."""

    invoice_id: str
    reference: str
    destination: str
    client_id: str
    client_name: str
    customer_id: str
    period_month: date
    currency: str
    total_amount: Decimal
    lines: Sequence[Line]
    item_ids: Sequence[str]
    """The accounting system's item of each line."""
    payload: str = ""
    """The body, to the byte."""

    @property
    def is_credit(self) -> bool:
        """Whether it gives money back: it is made as a credit note, and its amounts are negative here."""
        return self.total_amount < 0

    @property
    def payload_sha256(self) -> str:
        """The body's hash: the same in a dry run, in the intent and of what is sent."""
        return text_digest(self.payload)

    @property
    def note(self) -> str:
        """Our mark: the reference, and the decisions that are billed."""
        return f"Morton {self.reference}: {' '.join(line.decision_id for line in self.lines)}"

    @property
    def intent(self) -> dict[str, Any]:
        """The draft as the ledger keeps it."""
        names = ("invoice_id", "reference", "destination", "client_id", "period_month", "currency", "total_amount")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Plan:
    """What would be sent now, and what would not."""

    drafts: list[Draft] = field(default_factory=list)
    held: list[tuple[Decision, str]] = field(default_factory=list)
    """Approved decisions that are not sent, each with the reason."""
    withdrawn: list[tuple[Invoice, str]] = field(default_factory=list)
    """Invoices planned earlier that lost an approval before they were sent."""
    waiting: list[tuple[Invoice, str]] = field(default_factory=list)
    """Invoices planned earlier that cannot be written now."""


def plan(
    ledger: Ledger,
    current_rows: Mapping[str, Mapping[str, Any]],
    seeds: Seeds,
    target: "Adapter",
    *,
    period: date | None = None,
) -> Plan:
    """Group what is approved, unsent and still as it was approved; `current_rows` are the mart's rows by discrepancy.

    A decision whose row has another seal now is void: it is held, with before and after.
    """
    with ledger.read() as con:
        standing = [d for d in decisions.latest(con).values() if d["action"] == "approve"]
        known = [i for i in invoices.read(con) if i.cause != invoices.WITHDRAWN]
    carried = {line.decision_id: invoice for invoice in known for line in invoice.lines}
    open_now = {line.discrepancy_id: i for i in known if i.is_open for line in i.lines}
    result, free = Plan(), dict[str, Decision]()
    for decision in sorted(standing, key=lambda d: str(d["decision_id"])):
        invoice = carried.get(decision["decision_id"])
        if invoice is not None and not invoice.is_unsent:
            continue
        if invoice is not None and invoice.cause == invoices.VOIDED:
            result.held.append((decision, f"invoice {invoice.reference} was voided in the accounting system. {VOIDED}"))
        elif why := _objection(
            decision,
            current_rows.get(decision["discrepancy_id"]),
            open_now.get(decision["discrepancy_id"]),
            seeds,
            target,
        ):
            result.held.append((decision, why))
        else:
            free[decision["decision_id"]] = decision
    groups: list[list[Decision]] = []
    for invoice in known:
        if invoice.is_unsent and invoice.cause != invoices.VOIDED:
            if lost := [line for line in invoice.lines if line.decision_id not in free]:
                result.withdrawn.append((invoice, _lost(lost, result.held)))
            else:
                groups.append([free.pop(line.decision_id) for line in invoice.lines])
    groups.extend(_grouped(list(free.values()), min(MOST_LINES, target.most_lines)))
    for group in groups:
        if period is None or group[0]["period_month"] == period:
            _draft(result, group, seeds, target, carried)
    result.drafts.sort(key=lambda d: d.reference)
    return result


def _objection(
    decision: Decision, row: Mapping[str, Any] | None, holding: Invoice | None, seeds: Seeds, target: "Adapter"
) -> str | None:
    """Say why an approval does not count now, or nothing when it does."""
    if row is None or row["seal"] != decision["seal"]:
        return change(decision, row)
    approved = json.loads(decision["row"])
    by = f"{decision['decided_by']} approved {decisions.describe(approved)}"
    if approved.get("line_sha256") != line_digest(decision):
        return f"{by}, and its line would read otherwise now: the approval is void, nothing was sent; decide anew."
    if target.needs_ids and (why := billed_to_another(decision, seeds)):
        return why
    if row["source_state"] not in ("known", "zero") and approved["source_state"] in ("known", "zero"):
        return f"the reading behind it has grown old since {by}; read and reconcile again first."
    if decision["amount"] < 0 and target.needs_ids and not approved.get("invoiced_as"):
        return (
            f"{by}, and {target.title} shows no invoice for that service and month to give it back on: amend the "
            "contract, so that the next invoice is right, or credit it by hand."
        )
    if holding is not None:
        held = f"invoice {holding.reference} with an earlier approval of this row is {holding.state}"
        return f"{held}; settle it first."
    return None


def change(decision: Mapping[str, Any], row: Mapping[str, Any] | None) -> str | None:
    """Say how a row differs from what was approved, or nothing when it is the same to the seal."""
    by = f"{decision['decided_by']} approved {decisions.describe(json.loads(decision['row']))}"
    if row is None:
        return f"{by}, and the row is no longer in the mart: the approval is void, nothing was sent."
    if row["seal"] != decision["seal"]:
        return f"{by}; now it is {decisions.describe(row)}: the approval is void, nothing was sent; decide anew."
    return None


def _lost(lines: Sequence[Line], held: Sequence[tuple[Decision, str]]) -> str:
    whys = {decision["decision_id"]: why for decision, why in held}
    said = [
        f"{line.discrepancy_id}: {whys.get(line.decision_id, 'its approval was undone or replaced.')}" for line in lines
    ]
    return f"Taken back before it was sent. {' '.join(said)}"


def _grouped(loose: Sequence[Decision], most: int) -> list[list[Decision]]:
    """Put together what goes on one document: money that is owed and money that is given back never share one."""
    groups: dict[tuple[str, date, str, bool], list[Decision]] = {}
    for decision in loose:
        key = (decision["client_id"], decision["period_month"], decision["currency"], decision["amount"] < 0)
        groups.setdefault(key, []).append(decision)
    return [g[start : start + most] for g in groups.values() for start in range(0, len(g), most)]


def _draft(
    result: Plan,
    group: list[Decision],
    seeds: Seeds,
    target: "Adapter",
    carried: Mapping[str, Invoice],
) -> None:
    """Add the draft of one group, or hold all of it: an invoice is never sent with a part missing."""
    first = group[0]
    client_id, services = first["client_id"], [d["service_id"] for d in group]
    earlier = carried.get(first["decision_id"])
    try:
        if earlier is not None and earlier.destination != target.destination:
            raise BadInput(
                f"invoice {earlier.reference} was planned for {earlier.destination}, not for {target.destination}."
            )
        customer_id = seeds.clients.look_up(client_id, "accounting_customer_id") if target.needs_ids else client_id
        item_ids = [seeds.services.look_up(s, "accounting_item_id") if target.needs_ids else s for s in services]
        reference = reference_of(
            client_id,
            first["period_month"],
            first["currency"],
            [d["decision_id"] for d in group],
            target.reference_length,
        )
        lines = [line_of(decision) for decision in group]
        draft = Draft(
            invoice_id=digest(["invoice", reference])[:16],
            reference=reference,
            destination=target.destination,
            client_id=client_id,
            client_name=seeds.clients.value(client_id, "client_name") or client_id,
            customer_id=customer_id,
            period_month=first["period_month"],
            currency=first["currency"],
            total_amount=sum((line.amount for line in lines), Decimal(0)),
            lines=lines,
            item_ids=item_ids,
        )
        result.drafts.append(replace(draft, payload=target.render(draft)))
    except BadInput as missing:
        result.held.extend((decision, str(missing)) for decision in group)
        if earlier is not None and earlier.destination == target.destination:
            result.waiting.append((earlier, str(missing)))


def billed_to_another(decision: Mapping[str, Any], seeds: Seeds) -> str | None:
    """Say whom and what the seeds bill now, where the approved row was built with another customer or item."""
    approved = json.loads(decision["row"]).get("billed_to")
    if approved is None:
        return None
    try:
        customer_id = seeds.clients.look_up(decision["client_id"], "accounting_customer_id")
        item_id = seeds.services.look_up(decision["service_id"], "accounting_item_id")
    except BadInput as missing:
        return str(missing)
    if approved == (now := f"{customer_id}>{item_id}"):
        return None
    return (
        f"{decision['decided_by']} approved it for customer and item {approved}, and the seeds say {now} now: nothing "
        "was sent. Reconcile, look at the row and decide anew."
    )


def reference_of(
    client_id: str, period_month: date, currency: str, decision_ids: Sequence[str], length: int = 20
) -> str:
    """Return our own number for an invoice, the same for the same decisions, also after a restore.

    20 characters with the month to read in it, 11 where the accounting system takes no more; one is never cut, because
    two numbers may be the same when they are.
    """
    what = canonical([client_id, period_month, currency, sorted(decision_ids)])
    code = base64.b32encode(hashlib.sha256(what.encode()).digest()).decode()
    if length >= 20:
        return f"M{period_month:%Y%m}-{code[:12]}"
    if length >= 11:
        return f"M{code[:10]}"
    raise BadInput(f"Our shortest number has 11 characters, and the accounting system takes {length}: it is never cut.")


def marked(note: str) -> str | None:
    """Return the reference in a note we wrote, or nothing when it is not ours."""
    found = _MARK.search(note)
    return found[1] if found else None


def request_key(invoice: Invoice) -> str:
    """Return the idempotency key: one for an invoice and its body, whenever and by whomever it is sent.

    Only what was answered with a clear no, or is not there by a person's word, gets another one: under the old key some
    systems replay that answer whatever was mended since.
    """
    return f"morton-{digest([invoice.invoice_id, invoice.payload, invoice.refusal_count])[:32]}"
