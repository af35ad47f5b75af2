"""What stands behind an invoice or a row, as it may be sent to the client who disputes it.

Belongs here: putting the ledger and the published mart side by side in the client's words, without our cost, another
client, or a name the contract hides. Reads both, changes nothing. Does not: how it looks (`proof_page`).
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from morton_pipeline.book import Book
from morton_pipeline.errors import BadInput
from morton_pipeline.ledger import audit, decisions, invoices
from morton_pipeline.ledger.canonical import plain
from morton_pipeline.ledger.invoices import Invoice, Line
from morton_pipeline.ledger.lines import line_of, price_text
from morton_pipeline.ledger.store import Ledger
from morton_pipeline.reports import mart

Row = dict[str, Any]


@dataclass(frozen=True)
class _Subject:
    """One line that is, or would be, billed."""

    row: Mapping[str, Any]
    """The row of the mart as it was approved; as it is now where nobody has approved it."""
    line: Line | None
    decision: Mapping[str, Any] | None
    invoice: Invoice | None = None
    number: int | None = None

    @property
    def discrepancy_id(self) -> str:
        return str(self.row["discrepancy_id"])

    @property
    def seal(self) -> str:
        return str(self.row["seal"])


def proof(book: Book, ledger: Ledger, name: str, *, at: datetime) -> list[Row]:
    """Return one row per line of an invoice, or of the invoices that bill one discrepancy, or one for the row itself.

    `name` is an invoice's reference, our id or the accounting system's id for it, or a discrepancy's id. Each row has
    the line with its price rule, what became of it, and in lists of their own the records (`evidence`), `contracts`,
    `mappings`, `exclusions`, `readings`, `approvals` and `states`. `evidence_state` says whether the records are the
    approved ones. Names of people are replaced where the contract does not say that they are shown.

    Raises `BadInput` when nothing is called that, or when it is nothing a client is billed by.
    """
    subjects = _billed(ledger, name) or [_unbilled(book, ledger, name, at)]
    chain = audit.verify(ledger)
    links = audit.links(ledger, "decisions", [s.decision["decision_id"] for s in subjects if s.decision])
    rows = [_row(ledger, subject, _grounds(book, subject), links) for subject in subjects]
    _hide_names(rows)
    return [{**row, "record_is_whole": chain.is_whole, "record_entries": chain.row_count} for row in rows]


def _billed(ledger: Ledger, name: str) -> list[_Subject]:
    found = [
        (invoice, number, line)
        for invoice in invoices.current(ledger)
        for number, line in enumerate(invoice.lines, start=1)
        if name in (invoice.reference, invoice.invoice_id, invoice.accounting_id, line.discrepancy_id)
    ]
    made = {
        decision["decision_id"]: decision
        for discrepancy_id in sorted({line.discrepancy_id for _, _, line in found})
        for decision in decisions.history(ledger, discrepancy_id)
    }
    return [
        _Subject(json.loads(made[line.decision_id]["row"]), line, made[line.decision_id], invoice, number)
        for invoice, number, line in found
    ]


def _unbilled(book: Book, ledger: Ledger, name: str, at: datetime) -> _Subject:
    rows = mart.by_id(book, at=at)
    if name not in rows:
        raise BadInput(
            f"No invoice and no row is called {name!r}; `morton invoices status` lists the ones, "
            "`morton discrepancies --period all` the others."
        )
    row = rows[name]
    if row["kind"] not in decisions.APPROVABLE:
        raise BadInput(f"{name} is a row of the kind {row['kind']}, which no client is billed by: there is no proof.")
    standing = [d for d in decisions.history(ledger, name) if d["action"] != decisions.FIRST_APPROVAL][-1:]
    approved = [d for d in standing if d["action"] == "approve" and d["seal"] == row["seal"]]
    if not approved:
        return _Subject(row, None, None)
    return _Subject(json.loads(approved[0]["row"]), line_of(approved[0]), approved[0])


@dataclass(frozen=True)
class _Grounds:
    """What the mart says of one row, and whether it is what was approved."""

    state: str
    evidence: Sequence[Row]
    readings: Sequence[Row]
    contracts: Sequence[Row]
    mappings: Sequence[Row]
    exclusions: Sequence[Row]


def _grounds(book: Book, subject: _Subject) -> _Grounds:
    """Look a row up as it was approved: in the mart of now, else in a look back to the instant of the approval."""
    wanted, decision = subject.discrepancy_id, subject.decision
    source: Path | None = None
    seal = mart.seals(book, [wanted]).get(wanted)
    contracts = mart.grounds(book, wanted, "contracts")
    if any(c["is_edited_since_closed"] for c in contracts):
        # A closed month keeps its rows and their seals; the contract they stood on is no longer to be read here.
        seal = None
    if decision and seal != subject.seal:
        then = decision["decided_at"].astimezone(UTC)
        back = book.published.with_name(f"mart_as_of_{then:%Y%m%dT%H%M%SZ}.duckdb")
        if back.is_file() and mart.seals(book, [wanted], back).get(wanted) == subject.seal:
            source, seal = back, subject.seal
    evidence = [e for e in mart.evidence_of(book, [wanted], source)[wanted] if e["bucket"] != "coverage_only"]
    if seal == subject.seal:
        state = "as approved" if decision else "as it is now"
    else:
        state = "changed since it was approved" if evidence else "gone: nothing is different any more"
    return _Grounds(
        state,
        evidence,
        *(mart.grounds(book, wanted, what, source) for what in ("readings", "contracts", "mappings", "exclusions")),
    )


def _row(ledger: Ledger, subject: _Subject, grounds: _Grounds, links: Mapping[str, tuple[int, str]]) -> Row:
    row, line, invoice, decision = subject.row, subject.line, subject.invoice, subject.decision
    currency = str(row["currency"])
    titles = {r["vendor"]: r["vendor_title"] for r in (*grounds.readings, *grounds.mappings)}
    reasons = {(x["vendor"], x["bucket_reason"]): x["reason"] for x in grounds.exclusions}
    approvals = _approvals(ledger, subject, links)
    return {
        "reference": invoice.reference if invoice else None,
        "accounting_id": invoice.accounting_id if invoice else None,
        "state": invoice.state if invoice else "approved" if decision else "not approved",
        "line_number": subject.number,
        "discrepancy_id": subject.discrepancy_id,
        "client_id": row["client_id"],
        "client_name": row["client_name"],
        "customer_id": invoice.customer_id if invoice else None,
        "period_month": _day(row["period_month"]),
        "service_id": row["service_id"],
        "service_name": row["service_name"],
        "kind": row["kind"],
        "description": line.description if line else "",
        "quantity": line.quantity if line else _number(row["variance_quantity"]),
        "unit_price": line.unit_price if line else _number(row["unit_price"]),
        "amount": line.amount if line else _number(row["variance_amount"]),
        "currency": currency,
        "total_amount": invoice.total_amount if invoice else None,
        **{n: _number(row[n]) for n in ("observed_quantity", "contracted_quantity", "invoiced_quantity")},
        "variance_quantity": _number(row["variance_quantity"]),
        "counted_at": _instant(row["source_as_of_at"]),
        "explanation": row["explanation"],
        "decision_id": decision["decision_id"] if decision else None,
        "decided_by": decision["decided_by"] if decision else None,
        "decided_at": decision["decided_at"] if decision else None,
        "decided_because": decision["reason"] if decision else None,
        "seal": subject.seal,
        "line_sha256": row.get("line_sha256"),
        "payload_sha256": invoice.payload_sha256 if invoice else None,
        "evidence_state": grounds.state,
        "evidence_count": len(grounds.evidence),
        "evidence": [_record(e, titles, reasons) for e in grounds.evidence],
        "contracts": [_contract(c) for c in grounds.contracts],
        "mappings": [{k: v for k, v in m.items() if k != "discrepancy_id"} for m in grounds.mappings],
        "exclusions": [_exclusion(x) for x in grounds.exclusions],
        "readings": [{k: v for k, v in r.items() if k != "discrepancy_id"} for r in grounds.readings],
        "approvals": approvals,
        "states": _states(ledger, invoice) if invoice else [],
    }


def _record(evidence: Row, titles: Mapping[str, str], reasons: Mapping[tuple[str, str], str]) -> Row:
    vendor, said = evidence["vendor"], evidence["bucket_reason"]
    words = {"gone": "no longer listed"}
    return {
        "record_name": evidence["record_name"] or evidence["record_id"],
        "record_id": evidence["record_id"],
        "vendor": vendor,
        "vendor_title": titles.get(vendor, vendor),
        "quantity": evidence["quantity"],
        "bucket": evidence["bucket"],
        "reason": reasons.get((vendor, said), words.get(said, said)),
        "change": evidence["change"],
        "first_seen_on": evidence["first_seen_on"],
        "last_seen_on": evidence["last_seen_on"],
        "extraction_id": evidence["extraction_id"],
        "is_personal": evidence["is_personal"],
    }


def _contract(contract: Row) -> Row:
    told = {name: value for name, value in contract.items() if name != "discrepancy_id"}
    return {**told, "price_rule": price_rule(contract), "count_rule": count_rule(contract)}


def _exclusion(exclusion: Row) -> Row:
    names = ("vendor", "exclusion", "reason", "effective_from", "expires_on", "record_count")
    return {name: exclusion[name] for name in names}


def _approvals(ledger: Ledger, subject: _Subject, links: Mapping[str, tuple[int, str]]) -> list[Row]:
    """The approval that is billed, and before it the first of two where two people were needed."""
    if subject.decision is None:
        return []
    made = [
        d
        for d in decisions.history(ledger, subject.discrepancy_id)
        if d["action"] in ("approve", decisions.FIRST_APPROVAL)
        and d["seal"] == subject.decision["seal"]
        and d["version"] <= subject.decision["version"]
    ]
    return [
        {
            "decision_id": d["decision_id"],
            "is_first_of_two": d["action"] == decisions.FIRST_APPROVAL,
            "decided_by": d["decided_by"],
            "decided_at": d["decided_at"],
            "reason": d["reason"],
            "seal": d["seal"],
            "record_entry": links.get(d["decision_id"], (None, None))[0],
            "record_hash": links.get(d["decision_id"], (None, None))[1],
        }
        for d in made
    ]


def _states(ledger: Ledger, invoice: Invoice) -> list[Row]:
    """Every state the invoice went through; why it was held is between us and the accounting system."""
    return [
        {
            "state": "withdrawn" if event["cause"] == invoices.WITHDRAWN else event["state"],
            "accounting_id": event["accounting_id"],
            "at": event["at"],
        }
        for event in invoices.events_of(ledger, invoice.reference)
    ]


_TIERS = {
    "all_units": "Every one has the price of the tier that all of them together reach",
    "graduated": "Each one has the price of its own tier",
}


def price_rule(contract: Mapping[str, Any]) -> str:
    """Say how a contract makes an amount of what is counted."""
    currency, price = contract["currency"], contract["unit_price"]
    at = f"{price_text(price, currency)} {currency} a month" if price is not None else ""
    match contract["billing_model"]:
        case "per_unit":
            return f"Each one counted is billed at {at}."
        case "minimum":
            return f"Each one counted is billed at {at}, and never fewer than {plain(contract['minimum_quantity'])}."
        case "included":
            return f"The first {plain(contract['included_quantity'])} are included; each one beyond is billed at {at}."
        case "flat":
            agreed = plain(contract["contracted_quantity"])
            return f"A fixed quantity of {agreed} is billed at {at}, however many are counted."
        case "tiered":
            tiers = (tier.split(" at ") for tier in (contract["price_tiers"] or "").split(", ") if tier)
            listed = "; ".join(f"from {start} at {price_text(Decimal(p), currency)} {currency}" for start, p in tiers)
            return f"{_TIERS.get(contract['tier_method'], 'By tiers')}: {listed}."
        case "block_hours":
            block, each = plain(contract["contracted_quantity"]), at.removesuffix(" a month")
            return f"A block of {block} hours is paid whole; each hour beyond it is billed at {each}."
    return f"{contract['billing_model'].replace('_', ' ')}, at {at}."


_BASES = {
    "period_end": "What counts is what stood there at the end of the month, or stands there now.",
    "peak": "What counts is the day of the month on which most was to be billed.",
    "average": "What counts is the average over the days of the month under this contract.",
    "daily": "Each day is counted by itself and billed with its share of the month.",
}


def count_rule(contract: Mapping[str, Any]) -> str:
    """Say which count of the month a contract bills, and what it promised beside it."""
    said = [_BASES[contract["count_basis"]]]
    if contract["committed_quantity"] is not None:
        until = f" until {contract['committed_until']}" if contract["committed_until"] else ""
        said.append(f"No fewer than {plain(contract['committed_quantity'])} are billed{until}, as committed.")
    if contract["notice_days"]:
        days = contract["notice_days"]
        said.append(f"What has gone without another in its place is billed for {days} days more, as the notice says.")
    if contract["silent_days"]:
        said.append(f"A device that has not reported for {contract['silent_days']} days is not counted.")
    return " ".join(said)


_OPAQUE = re.compile(r"[0-9a-f-]{12,}|[0-9]{6,}", re.IGNORECASE)
"""An id that says nothing of whom it is: the client can find it in the tool, and nobody can read it."""


def _hide_names(rows: Sequence[Row]) -> None:
    """Put a number in place of every person whose name a contract does not show, the same all through these rows."""
    hidden = [row for row in rows if not _shows_names(row["contracts"])]
    people: dict[tuple[str, str], date] = {}
    for e in (e for row in hidden for e in row["evidence"] if e["is_personal"]):
        person = e["vendor"], e["record_id"]
        people[person] = min(e["first_seen_on"], people.get(person, e["first_seen_on"]))
    numbers = {person: n for n, person in enumerate(sorted(people, key=lambda p: (people[p], p)), start=1)}
    for row in hidden:
        said: dict[str, str] = {}
        for e in row["evidence"]:
            if e["is_personal"]:
                told, tail = f"User {numbers[e['vendor'], e['record_id']]}", _tail(e["record_id"])
                said |= {e["record_name"]: told, e["record_id"]: told}
                e |= {"record_name": told, "record_id": tail}
        _replace(row, said)
        _mask_patterns(row)


def _shows_names(contracts: Sequence[Row]) -> bool:
    return bool(contracts) and all(c["proof_names"] == "shown" for c in contracts)


def _tail(record_id: str) -> str:
    return f"…{record_id[-4:]}" if _OPAQUE.fullmatch(record_id) else ""


_ADDRESS = re.compile(r"[\w.+'-]+(?=@\w)")
"""Whose address it is; the domain says nothing of a person."""

_NAMES_SOMEBODY = re.compile(r"(?!sku|product|company|organization|saas_customer|host)(?:\w*_)?(?:name|id|attributes)")
"""A column of a list of people that says who somebody is, and not what they hold or whose they are."""


def _replace(row: Row, said: Mapping[str, str]) -> None:
    """Take the names out of what people wrote beside the records, too, and whoever's address stands there."""
    row["decided_because"] = _anonymous(row["decided_because"], said)
    written = [(row["evidence"], "reason"), (row["exclusions"], "reason"), (row["approvals"], "reason"),
               (row["contracts"], "note")]  # fmt: skip
    for members, name in written:
        _set(members, name, lambda text: _anonymous(text, said))


def _mask_patterns(row: Row) -> None:
    """Take out who is meant where a mapping chooses people by their names."""
    of_people = {e["vendor"] for e in row["evidence"] if e["is_personal"]}
    for mapping in row["mappings"]:
        is_name = mapping["field"] and _NAMES_SOMEBODY.fullmatch(mapping["field"])
        if not is_name or mapping["vendor"] not in of_people:
            continue
        who, at, domain = mapping["pattern"].rpartition("@")
        named = who if at else domain
        if named.strip("*?"):
            mapping["pattern"] = f"…@{domain}" if at else "…"


def _anonymous(text: str | None, said: Mapping[str, str]) -> str | None:
    named = [name for name in sorted(said, key=len, reverse=True) if name]
    if text and named:
        pattern = re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in named), re.IGNORECASE)
        folded = {name.casefold(): told for name, told in said.items()}
        text = pattern.sub(lambda found: folded[found[0].casefold()], text)
    return _ADDRESS.sub("…", text) if text else text


def _set(members: Iterable[Row], name: str, change: Any) -> None:
    for member in members:
        member[name] = change(member[name])


def _number(value: Any) -> Decimal | None:
    return None if value is None else Decimal(value)


def _day(value: Any) -> date:
    return date.fromisoformat(value) if isinstance(value, str) else value


def _instant(value: Any) -> datetime | None:
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)
