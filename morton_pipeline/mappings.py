"""Proposing whose company is whose and what a SKU is sold as, from what the mart could not place, and writing it down.

Belongs here: the unmapped, the candidates for a company, and adding rows to the two seeds. Does not: how names are
compared (`names`), what a SKU may be sold as (`sold_as`), or what a mapping does to a count (`dbt_project/`). Only the
same name is ever written without a person naming it.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import duckdb

from morton_pipeline import seeds
from morton_pipeline.book import Book
from morton_pipeline.errors import BadInput, guess
from morton_pipeline.names import SAME, Candidate, judge, name
from morton_pipeline.seeds import additions
from morton_pipeline.sold_as import Shelf
from morton_pipeline.warehouse.publish import connect_published

Row = dict[str, Any]

MIN_SCORE = 70.0

_UNMAPPED = {
    "company": """
        select
            'company' as kind, connection_id || '/' || company_id as mapping, connection_id, max(vendor) as vendor,
            company_id, max(company_name) as company_name, count(*) as records, sum(list_amount) as list_amount,
            max(currency) as currency
        from marts.unmapped_records
        where client_id is null and reason not like 'unallocated%'
        group by connection_id, company_id
    """,
    "service": """
        select
            'service' as kind, vendor || '/' || endpoint || '/' || sku as mapping,
            string_agg(distinct connection_id, ', ' order by connection_id) as connection_id, vendor, endpoint, sku,
            max(sku_name) as sku_name, max(unit) as unit, count(*) as records, sum(quantity) as quantity,
            sum(list_amount) as list_amount, max(currency) as currency
        from marts.unmapped_records
        where not has_service and sku is not null
        group by vendor, endpoint, sku
    """,
}


@dataclass(frozen=True)
class Suggestions:
    """What could be mapped, most money first, and what the seeds map already though the mart does not know it yet."""

    rows: Sequence[Row]
    pending: Sequence[str]


def suggest(book: Book, *, at: datetime, min_score: float = MIN_SCORE) -> Suggestions:
    """Propose a client for every unmapped company of the published mart, and a service for every unmapped SKU."""
    with connect_published(book) as con:
        unmapped = {kind: _read(con, sql) for kind, sql in _UNMAPPED.items()}
    today, roster, shelf = f"{at:%Y-%m-%d}", _Roster(book), Shelf(book)
    rows: list[Row] = []
    pending: list[str] = []
    for row in unmapped["company"]:
        if roster.is_mapped(row, today):
            pending.append(row["mapping"])
        else:
            rows.append({**row, **roster.place(row, min_score)})
    roster.hold_back(rows)
    for row in unmapped["service"]:
        if shelf.is_mapped(row, today):
            pending.append(row["mapping"])
        else:
            rows.append({**row, **shelf.place(row, min_score)})
    rows.sort(key=lambda row: (-(row["list_amount"] or Decimal(0)), -row["records"], row["mapping"]))
    return Suggestions(rows, pending)


def _read(con: duckdb.DuckDBPyConnection, sql: str) -> list[Row]:
    try:
        cursor = con.execute(sql)
    except duckdb.BinderException:
        raise BadInput("An earlier version built the marts: run `morton reconcile`, then this again.") from None
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]


class _Roster:
    """The clients of a book, by every name they go by, and the companies that are mapped to them."""

    def __init__(self, book: Book) -> None:
        self._mappings = seeds.read(book, "company_mappings")
        called: dict[str, list[str]] = defaultdict(list)
        for mapping in self._mappings:
            called[mapping["client_id"]].append(mapping["company_name"])
        self._clients = [
            Candidate(
                row["client_id"],
                row["client_name"],
                [name(text) for text in dict.fromkeys((row["client_name"], *called[row["client_id"]])) if text],
            )
            for row in seeds.read(book, "clients")
        ]

    def _of(self, row: Row) -> list[Mapping[str, str]]:
        """Return the mappings of a company, whenever they hold."""
        company = (row["connection_id"], row["company_id"].lower())
        return [m for m in self._mappings if (m["connection_id"], m["company_id"].lower()) == company]

    def is_mapped(self, row: Row, today: str) -> bool:
        """Whether the seeds map a company, now or later, though the mart was built before they did."""
        return any(not m["effective_to"] or m["effective_to"] > today for m in self._of(row))

    def place(self, row: Row, min_score: float) -> Row:
        """Say whose company it may be. One that was somebody's until a day is never mapped without a person."""
        judged = judge([name(row["company_name"])], self._clients, min_score)
        before = max(self._of(row), key=lambda m: m["effective_to"], default=None)
        if before is None:
            return {**judged.row(), "effective_from": ""}
        since = before["effective_to"]
        note = f"it was {before['client_id']} until {since}; a new mapping begins there"
        return {**judged.row(note, at_most="near"), "effective_from": since}

    def hold_back(self, rows: Sequence[Row]) -> None:
        """Companies of one tool that all but bear a client's name may be two clients: none of them is exact."""
        written = {(client.id, called.written) for client in self._clients for called in client.names}
        claims = Counter((m["connection_id"], m["client_id"]) for m in self._mappings)
        claims.update((row["connection_id"], row["suggestion"]) for row in rows if row["score"] == SAME)
        for row in rows:
            is_shared = claims[row["connection_id"], row["suggestion"]] > 1
            is_written_so = (row["suggestion"], name(row["company_name"]).written) in written
            if row["verdict"] == "exact" and is_shared and not is_written_so:
                row["verdict"] = "ambiguous"
                row["note"] = f"another company of {row['connection_id']} is {row['suggestion']} too"


def write(book: Book, found: Suggestions, *, accepted: Sequence[str] = (), with_exact: bool = False) -> list[Row]:
    """Add mappings to the seeds: those a person accepted, each as `MAPPING=ID`, and with `with_exact` the same names.

    Returns every suggestion with its result: what was written, left for a person, or why it was refused. Raises
    `BadInput`, and writes nothing, when an acceptance fits nothing or the seeds are not right as they stand.
    """
    if wrong := seeds.check(book):
        raise BadInput(f"The seeds in {book.seeds} are not right yet ({wrong[0]}); `morton seeds check` lists all.")
    chosen = _accepted(book, found, accepted)
    if with_exact:
        chosen = {i: row["suggestion"] for i, row in enumerate(found.rows) if row["verdict"] == "exact"} | chosen
    refused = _refused(book, found.rows, chosen)
    for seed, rows in _as_seeds(found.rows, {i: v for i, v in chosen.items() if i not in refused}).items():
        additions.append(book, seed, rows)
    results = {i: f"written: {target}" for i, target in chosen.items()}
    results |= {i: f"refused: {why}" for i, why in refused.items()}
    return [{**row, "result": results.get(i, "left for a person")} for i, row in enumerate(found.rows)]


def _accepted(book: Book, found: Suggestions, texts: Sequence[str]) -> dict[int, str]:
    """Read what a person accepted: the place of each row in the list, and the client or service it is mapped to."""
    known = {
        "company": {row["client_id"] for row in seeds.read(book, "clients")},
        "service": {row["service_id"] for row in seeds.read(book, "services")},
    }
    places = {row["mapping"].lower(): i for i, row in enumerate(found.rows)}
    chosen: dict[int, str] = {}
    for text in texts:
        mapping, _, target = text.rpartition("=")
        place = places.get(mapping.lower())
        if place is None:
            listed = "it is mapped already" if mapping in found.pending else "the list has no such mapping"
            raise BadInput(f"--accept {text}: {listed}{guess(mapping, [row['mapping'] for row in found.rows])}.")
        kind = found.rows[place]["kind"]
        if target not in known[kind]:
            home = "client_id of clients.csv" if kind == "company" else "service_id of services.csv"
            raise BadInput(f"--accept {text}: {target!r} is no {home}{guess(target, known[kind])}.")
        chosen[place] = target
    return chosen


def _refused(book: Book, rows: Sequence[Row], chosen: Mapping[int, str]) -> dict[int, str]:
    """Try the new rows on a copy of the seeds: all at once, and one after another only where something is wrong."""
    refused = {i: "its column is not known; write its row yourself" for i in chosen if rows[i].get("field") == ""}
    good = {i: target for i, target in chosen.items() if i not in refused}
    if good and additions.problems(book, _as_seeds(rows, good)):
        kept: dict[int, str] = {}
        for i, target in good.items():
            if wrong := additions.problems(book, _as_seeds(rows, {**kept, i: target})):
                refused[i] = wrong[0].message
            else:
                kept[i] = target
    return refused


def _as_seeds(rows: Sequence[Row], chosen: Mapping[int, str]) -> dict[str, list[Row]]:
    """Turn suggestions into rows of the two seeds."""
    found: dict[str, list[Row]] = {"company_mappings": [], "service_mappings": []}
    for i, target in chosen.items():
        row = rows[i]
        is_exact = (row["verdict"], row["suggestion"]) == ("exact", target)
        if row["kind"] == "company":
            found["company_mappings"].append({
                "connection_id": row["connection_id"], "company_id": row["company_id"],
                "company_name": row["company_name"], "client_id": target, "effective_from": row["effective_from"],
                "note": "the same name" if is_exact else "accepted by a person",
            })  # fmt: skip
        else:
            found["service_mappings"].append({
                "vendor": row["vendor"], "endpoint": row["endpoint"], "field": row["field"], "pattern": row["sku"],
                "service_id": target, "priority": 10,
            })  # fmt: skip
    return found
