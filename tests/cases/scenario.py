"""The words the cases are told in: clients, contracts, and the records a vendor lists from one day to another.

Belongs here: turning a story into a book, reading by reading, without a request. Does not: what any number should be.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from morton_pipeline.book import Book
from morton_pipeline.extract.fetch import Extraction
from morton_pipeline.ledger import Ledger, invoices
from morton_pipeline.seeds import SEEDS
from morton_pipeline.warehouse.load import load

Row = dict[str, Any]
When = date | datetime

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""When the first mart is built."""
DECIDED = NOW + timedelta(hours=1)
"""When somebody answers, and what was approved for `posted` clients is sent."""
LATER = NOW + timedelta(days=1)
"""When the second one is, after the changes the stories tell of."""
FIRST = datetime(2026, 9, 10, 6, tzinfo=UTC)
"""The first reading of every tool."""
_ALWAYS = (
    FIRST, datetime(2026, 9, 30, 22, tzinfo=UTC), datetime(2026, 10, 30, 22, tzinfo=UTC),
    datetime(2026, 10, 31, 22, tzinfo=UTC), NOW - timedelta(minutes=30), LATER - timedelta(minutes=30),
)  # fmt: skip
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)

CONNECTIONS = {
    "rmm": "ninjaone",
    "rmm-west": "ninjaone",
    "edr": "huntress",
    "edr-west": "huntress",
    "m365": "microsoft365",
    "pax8": "pax8",
    "cloud": "acronis",
    "console": "veeam_spc",
    "shield": "files",
    "sieve": "files",
    "monthly": "files",
    "rarely": "files",
    "amended": "files",
    "guard": "files",
    "books": "quickbooks_online",
}
_LISTS = {
    "ninjaone": ("organizations", "devices"),
    "huntress": ("organizations", "agents"),
    "microsoft365": ("subscribed_skus", "user_licenses"),
    "pax8": ("companies", "products", "subscriptions", "invoices", "invoice_items"),
    "acronis": ("tenants", "usages", "resources"),
    "veeam_spc": ("companies", "company_usage"),
    "files": ("records",),
    "quickbooks_online": ("invoices", "invoice_lines"),
}
_COMPANIES = {"ninjaone": "organizations", "huntress": "organizations", "pax8": "companies", "acronis": "tenants",
              "veeam_spc": "companies"}  # fmt: skip
"""The list in which a vendor names its companies."""
_REPORTS = (
    "    folder: inbox",
    "    pattern: '*.csv'",
    "    columns: {record_id: Id, company_id: Company, quantity: Count}",
)
"""What a tool that sends files declares; the records come from here."""
_DATED = {
    "monthly": {
        datetime(2026, 9, 12, 6, tzinfo=UTC): date(2026, 8, 31),
        datetime(2026, 10, 2, 6, tzinfo=UTC): date(2026, 9, 30),
        datetime(2026, 11, 2, 6, tzinfo=UTC): date(2026, 10, 31),
        LATER - timedelta(minutes=30): NOW.date(),
    },
    "rarely": {
        datetime(2026, 9, 16, 6, tzinfo=UTC): date(2026, 9, 15),
        datetime(2026, 11, 17, 6, tzinfo=UTC): date(2026, 11, 14),
    },
    "amended": {
        datetime(2026, 11, 2, 6, tzinfo=UTC): date(2026, 10, 31),
        LATER - timedelta(minutes=30): date(2026, 10, 31),
    },
}
"""Tools whose reports say which day they are of: when each was read, and its day. They are read at no other time."""
_DECLARED = {"shield": ("    title: Mail Shield", "    category: security"), "guard": ("    category: security",)}
_SETTINGS = {"quickbooks_online": ["    realm_id: r"], "veeam_spc": ["    base_url: https://console.test:1280"]}
_SECRETS = {
    "veeam_spc": "{api_key: K}",
    "huntress": "{api_key: K, api_secret: S}",
    "quickbooks_online": "{client_id: K, client_secret: S, refresh_token: R}",
}


def _instant(when: When) -> datetime:
    """A day alone is read at noon in UTC."""
    return when if isinstance(when, datetime) else datetime.combine(when, time(12), UTC)


@dataclass
class _Fact:
    """What a vendor lists, from one instant to another."""

    list: tuple[str, str, str]
    """Connection, endpoint and tenant."""
    row: Row
    since: datetime
    until: datetime = _NEVER
    told_from: datetime = FIRST
    """A report may be written anew: from when, and until when, its day's report says so."""
    told_until: datetime = _NEVER


@dataclass
class Scenario:
    """One MSP whose clients are the cases."""

    facts: list[_Fact] = field(default_factory=list)
    outages: list[tuple[str, str, datetime, datetime]] = field(default_factory=list)
    seeds: dict[str, list[dict[str, str]]] = field(default_factory=lambda: {name: [] for name in SEEDS})
    edits: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    additions: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    decisions: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """What somebody answers, after the first mart, for the rows of a client, or for those of one kind or another month."""
    posted: list[str] = field(default_factory=list)
    """The clients whose approved rows are invoiced, once decided on."""
    tenants: list[str] = field(default_factory=list)
    _count: int = 1000

    # What the MSP agrees.

    def service(self, service_id: str, unit: str, list_price: str = "", **more: str) -> None:
        self._seed(
            "services", service_id=service_id, service_name=service_id.title(), unit=unit, list_price=list_price, **more
        )

    def maps(self, service_id: str, vendor: str, endpoint: str, field: str, *patterns: str, **more: str) -> None:
        for pattern in patterns:
            self._seed(
                "service_mappings",
                vendor=vendor,
                endpoint=endpoint,
                field=field,
                pattern=pattern,
                service_id=service_id,
                **more,
            )

    def client(self, client_id: str, **more: str) -> str:
        self._seed(
            "clients",
            **{"client_id": client_id, "client_name": client_id.title(), "status": "active", "currency": "USD", **more},
        )
        return client_id

    def contract(
        self, client: str, service: str, quantity: str | int, price: str, model: str = "per_unit", **more: str
    ) -> str:
        contract_id = f"{client}/{service}/{self._next()}"
        self._seed("contracts", contract_id=contract_id, client_id=client, service_id=service, quantity=str(quantity),
                   unit_price=price, billing_model=model, **more)  # fmt: skip
        return contract_id

    def tiers(self, contract_id: str, method: str, *steps: tuple[int, str]) -> None:
        """Price a tiered contract: from which unit on, at which price."""
        for start, price in steps:
            self._seed(
                "price_tiers", contract_id=contract_id, from_quantity=str(start), unit_price=price, method=method
            )

    def bundle(self, service_id: str, **components: str) -> None:
        """Let a service consist of others, each so many times; the first counts it where no mapping does."""
        for component, quantity in components.items():
            self._seed(
                "bundles", bundle_service_id=service_id, component_service_id=component, quantity_per_unit=quantity
            )

    def mapping(self, client: str, connection: str, company: str, **more: str) -> None:
        self._seed(
            "company_mappings",
            connection_id=connection,
            company_id=company,
            company_name=company.title(),
            client_id=client,
            **more,
        )

    def exclusion(self, **columns: str) -> None:
        self._seed("exclusions", **{"exclusion_id": f"x{self._next()}", "reason": "agreed", "owner": "alma", **columns})

    def includes(self, sku: str, *included: str) -> None:
        """Let one Microsoft SKU contain others."""
        for inner in included:
            self._seed("sku_includes", vendor="microsoft365", sku=sku, included_sku=inner)

    # What the tools list.

    def devices(self, client: str, count: int, *, since: When = FIRST, until: When = _NEVER, site: str = "", connection: str = "rmm",
                is_mapped: bool = True, **fields: Any) -> list[str]:  # fmt: skip
        """Add devices named `<client> 1` … and return their ids."""
        company = self._company(client, connection, site or client, is_mapped)
        common = {"organizationId": company, "nodeClass": "WINDOWS_WORKSTATION", "approvalStatus": "APPROVED"}
        return [
            self._add(
                connection,
                "devices",
                "",
                {"id": f"D{n}", "systemName": f"{client} {n}", **common, **fields},
                since,
                until,
            )["id"]
            for n in self._numbers(count)
        ]

    def agents(self, client: str, count: int, *, since: When = FIRST, until: When = _NEVER, connection: str = "edr",
               **fields: Any) -> list[str]:  # fmt: skip
        company = self._company(client, connection, client, is_mapped=True)
        return [
            self._add(
                connection,
                "agents",
                "",
                {
                    "id": f"A{n}",
                    "organization_id": company,
                    "hostname": f"{client} {n}",
                    "platform": "windows",
                    **fields,
                },
                since,
                until,
            )["id"]
            for n in self._numbers(count)
        ]

    def tenant(self, client: str, *, is_mapped: bool = True, **mapping: str) -> str:
        """Connect the client's Microsoft tenant, which is named like the client."""
        if client not in self.tenants:
            self.tenants.append(client)
            if is_mapped:
                self.mapping(client, "m365", client, **mapping)
        return client

    def licences(self, client: str, count: int, sku: str = "SPB", *, since: When = FIRST, until: When = _NEVER, users: Iterable[str] = (),
                 **fields: Any) -> list[str]:  # fmt: skip
        """Assign a SKU to new users, or to those named, and return the users' ids."""
        tenant = self.tenant(client)
        found = list(users) or [f"{client}-u{n}" for n in self._numbers(count)]
        for user in found:
            self._add("m365", "user_licenses", tenant, {
                "userId": user, "skuId": f"id-of-{sku}", "skuPartNumber": sku, "userPrincipalName": f"{user}@example.com", "displayName": user,
                "accountEnabled": True, "userType": "Member", "userPurpose": "user", "capabilityStatus": "Enabled", **fields,
            }, since, until)  # fmt: skip
        return found

    def bought(self, client: str, sku: str, enabled: int, *, warning: int = 0, suspended: int = 0) -> None:
        units = {"enabled": enabled, "warning": warning, "suspended": suspended, "lockedOut": 0}
        self._add("m365", "subscribed_skus", self.tenant(client), {
            "id": f"{client}_{sku}", "skuId": f"id-of-{sku}", "skuPartNumber": sku, "capabilityStatus": "Enabled", "appliesTo": "User",
            "consumedUnits": 0, "prepaidUnits": units,
        }, FIRST, _NEVER)  # fmt: skip

    def subscribed(self, client: str, product: str, quantity: int, *, cost: str | None = None, currency: str = "USD",
                   term: str = "Monthly", status: str = "Active", committed_until: str | None = None,
                   since: When = FIRST, until: When = _NEVER, **fields: Any) -> str:  # fmt: skip
        """Let a client have bought something through the distributor, and return the subscription's id."""
        company = self._company(client, "pax8", client, is_mapped=True)
        row = {
            "id": f"S{self._next()}", "companyId": company, "productId": product, "productName": product, "status": status,
            "quantity": quantity, "partnerCost": cost, "currencyCode": currency, "billingTerm": term,
            "commitmentTerm": {"endDate": committed_until} if committed_until else None, **fields,
        }  # fmt: skip
        return str(self._add("pax8", "subscriptions", "", row, since, until)["id"])

    def product(self, name: str, **facts: Any) -> None:
        """Let the distributor's catalogue say something of a product."""
        self._add("pax8", "products", "", {"id": name, "name": name, **facts}, FIRST, _NEVER)

    def charged(self, client: str, quantity: int, cost: str, *, subscription: str = "", product: str = "",
                starts: str = "2026-11-01", ends: str = "2026-12-01", status: str = "Paid", **line: Any) -> None:  # fmt: skip
        """Let the distributor send us an invoice with one line about a client."""
        company, number = self._company(client, "pax8", client, is_mapped=True), f"P{self._next()}"
        self._add("pax8", "invoices", "", {
            "id": number, "invoiceDate": starts, "status": status, "total": cost, "currencyCode": "USD",
        }, FIRST, _NEVER)  # fmt: skip
        self._add("pax8", "invoice_items", "", {
            "invoiceId": number, "id": "1", "invoiceDate": starts, "sureUntil": "2027-11-01", "type": "subscription",
            "companyId": company, "subscriptionId": subscription or None, "productId": product or None,
            "term": "Monthly", "startPeriod": starts, "endPeriod": ends, "quantity": quantity, "costTotal": cost,
            "currencyCode": "USD", **line,
        }, FIRST, _NEVER)  # fmt: skip

    def backed_up(self, client: str, *names: str, since: When = FIRST, until: When = _NEVER) -> None:
        """Let the backup tool list machines of a client by name."""
        company = self._company(client, "cloud", client, is_mapped=True)
        for name in names:
            row = {"id": f"R{self._next()}", "name": name, "type": "resource.machine", "customerUuid": company}
            self._add("cloud", "resources", "", row, since, until)

    def stored(self, client: str, usage: str, value: int, unit: str = "quantity") -> None:
        """Let the backup tool count something of a client without a name: machines, or the bytes they fill."""
        company = self._company(client, "cloud", client, is_mapped=True)
        self._add("cloud", "usages", "", {
            "id": f"{company}|{usage}", "tenantUuid": company, "type": "count", "name": usage, "usageName": usage,
            "measurementUnit": unit, "value": value, "tenantName": company.title(), "tenantKind": "customer", "tenantState": "production",
        }, FIRST, _NEVER)  # fmt: skip

    def counted(self, client: str, counter: str, quantity: int, unit: str = "device") -> None:
        """Let the backup console count something of a client: it names no machine at any."""
        company = self._company(client, "console", client, is_mapped=True)
        self._add("console", "company_usage", "", {
            "companyUid": company, "locationUid": "l", "counter": counter, "counterName": counter.title(),
            "companyName": company.title(), "quantity": quantity, "unit": unit,
            "usageState": "used" if quantity else "unused",
        }, FIRST, _NEVER)  # fmt: skip

    def reported(self, client: str, plan: str, quantity: str, unit: str | None = "mailbox", tool: str = "shield", *,
                 since: When = FIRST, until: When = _NEVER, told_from: datetime = FIRST, told_until: datetime = _NEVER,
                 **fields: Any) -> None:  # fmt: skip
        """Let a tool that was declared count something of a client; such a tool lists no companies.

        Where its reports say which day they are of, `since` and `until` are about those days, and a day's report may
        be another one when it is read again: `told_from` and `told_until` are about when it is read.
        """
        company = {"connection_id": tool, "company_id": client}
        if not any(company.items() <= row.items() for row in self.seeds["company_mappings"]):
            self.mapping(client, tool, client)
        self._add(tool, "records", "", {
            "record_id": f"{client}/{plan if tool in _DATED else self._next()}", "company_id": client,
            "company_name": client.title(), "sku": plan, "quantity": quantity, "unit": unit, **fields,
        }, FIRST.replace(month=1) if tool in _DATED and since == FIRST else since, until)  # fmt: skip
        self.facts[-1].told_from, self.facts[-1].told_until = told_from, told_until

    def invoice(
        self, client: str, on: str, *lines: tuple[str, int | None, str, str], since: When = FIRST, document: str = "Invoice",
        number: str = "", doc_number: str = "", note: str = "", currency: str = "",
    ) -> None:  # fmt: skip
        """A document in QuickBooks: lines of (service, quantity, price, service date, which may be empty).

        A line without a quantity is a sum alone.

        It is written by hand, unless it has the id and the number of one of ours.
        """
        number = number or f"INV{self._next()}"
        self._add("books", "invoices", "", {
            "Id": number, "Document": document, "DocNumber": doc_number or number, "TxnDate": on,
            "CustomerRef": {"value": f"qb-{client}"}, "PrivateNote": note,
            "CurrencyRef": {"value": currency} if currency else None,
            "TotalAmt": str(sum(_amount(quantity, price) for _, quantity, price, _ in lines)),
        }, since, _NEVER)  # fmt: skip
        for place, (service, quantity, price, service_on) in enumerate(lines, 1):
            self._add("books", "invoice_lines", "", {
                "InvoiceId": number, "Document": document, "Id": str(place), "Description": service, "Amount": str(_amount(quantity, price)),
                "DetailType": "SalesItemLineDetail",
                "SalesItemLineDetail": {"ItemRef": {"value": f"item-{service}"}, "Qty": quantity, "UnitPrice": price, "ServiceDate": service_on or None},
            }, since, _NEVER)  # fmt: skip

    # What happens to them.

    def remove(self, ids: Iterable[str], on: When) -> None:
        for fact in self._standing(ids):
            fact.until = _instant(on)

    def change(self, ids: Iterable[str], on: When, **fields: Any) -> None:
        for fact in self._standing(ids):
            fact.until = _instant(on)
            self.facts.append(_Fact(fact.list, {**fact.row, **fields}, fact.until))

    def fail(self, connection: str, tenant: str = "", *, since: When, until: When = _NEVER) -> None:
        self.outages.append((connection, tenant, _instant(since), _instant(until)))

    def edit(self, file: str, where: str, **changes: str) -> None:
        """Change, between the two marts, the seed rows in which a cell reads `where`."""
        self.edits.append((file, where, changes))

    def decide(self, client: str, action: str, **more: Any) -> None:
        self.decisions.append((client, {"action": action, **more}))

    def bill(self, client: str, **more: Any) -> None:
        """Approve what there is of the client, and send it."""
        self.decide(client, "approve", **more)
        self.posted.append(client)

    # The book.

    def write_connections(self, book: Book) -> None:
        lines = ["connections:"]
        for name, vendor in CONNECTIONS.items():
            lines += [f"  - id: {name}", f"    vendor: {vendor}"]
            lines += (
                [*_REPORTS, *_DECLARED.get(name, ())]
                if vendor == "files"
                else [f"    secrets: {_SECRETS.get(vendor, '{client_id: K, client_secret: S}')}"]
            )
            lines += ["    max_age_days: 10"] if name == "rarely" else []
            lines += _SETTINGS.get(vendor, [])
            lines += (
                [f"    tenants: [{', '.join(f'{{id: {t}, name: {t}}}' for t in self.tenants or ['nobody'])}]"]
                if vendor == "microsoft365"
                else []
            )
        (book.root / "connections.yaml").write_text("\n".join(lines), "utf-8")

    def write_seeds(self, book: Book, *, is_later: bool = False) -> None:
        (book.root / "seeds").mkdir(parents=True, exist_ok=True)
        if is_later:
            for file, where, changes in self.edits:
                for row in self.seeds[file]:
                    row.update(changes if where in row.values() else {})
            for file, row in self.additions:
                self.seeds[file].append(row)
        for name, columns in SEEDS.items():
            with (book.root / "seeds" / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, [c.name for c in columns], restval="")
                writer.writeheader()
                writer.writerows(self.seeds[name])

    def read_tools(self, book: Book, after: datetime, until: datetime) -> None:
        """Load every list at every instant at which something changed."""
        changing = [f for f in self.facts if f.list[0] not in _DATED]
        moments = {*_ALWAYS, *(m for f in changing for m in (f.since, f.until)), *(o[2] for o in self.outages)}
        moments |= {moment for reports in _DATED.values() for moment in reports}
        for moment in sorted(m for m in moments if after < m <= until):
            load(book, list(self._extractions(moment)))

    def _extractions(self, at: datetime) -> Iterable[Extraction]:
        for connection, vendor in CONNECTIONS.items():
            if connection in _DATED:
                yield from self._report(connection, at)
                continue
            for tenant in self.tenants if vendor == "microsoft365" else [""]:
                is_down = any(o[:2] == (connection, tenant) and o[2] <= at < o[3] for o in self.outages)
                for endpoint in _LISTS[vendor]:
                    rows = [
                        f.row
                        for f in self.facts
                        if f.list == (connection, endpoint, tenant) and f.since <= at < f.until
                    ]
                    error = f"{connection}: the vendor did not answer." if is_down else ""
                    yield Extraction(connection, vendor, endpoint, tenant, tenant, at, None if is_down else rows, error)

    def _report(self, connection: str, at: datetime) -> Iterable[Extraction]:
        """What a report holds as of the end of its day, where one was read at that moment."""
        day = _DATED[connection].get(at)
        if day is not None:
            ends_at = datetime.combine(day, time.max, UTC)
            rows = [
                f.row
                for f in self.facts
                if f.list[0] == connection and f.since <= ends_at < f.until and f.told_from <= at < f.told_until
            ]
            yield Extraction(connection, "files", "records", "", "", at, rows, stands_for_on=day)

    def _add(self, connection: str, endpoint: str, tenant: str, row: Row, since: When, until: When) -> Row:
        self.facts.append(_Fact((connection, endpoint, tenant), row, _instant(since), _instant(until)))
        return row

    def _company(self, client: str, connection: str, company: str, is_mapped: bool) -> str:
        companies = (connection, _COMPANIES[CONNECTIONS[connection]], "")
        if not any(f.list == companies and f.row["id"] == company for f in self.facts):
            further = {"cloud": {"kind": "customer"}, "console": {"instanceUid": company, "status": "Active"}}
            row = {"id": company, "name": company.title(), **further.get(connection, {})}
            self._add(*companies, row, FIRST, _NEVER)
            if is_mapped:
                self.mapping(client, connection, company)
        return company

    def _standing(self, ids: Iterable[str]) -> list[_Fact]:
        wanted = set(ids)
        return [f for f in self.facts if {f.row.get("id"), f.row.get("userId")} & wanted and f.until == _NEVER]

    def _seed(self, name: str, **columns: str) -> None:
        self.seeds[name].append(columns)

    def _numbers(self, count: int) -> list[int]:
        return [self._next() for _ in range(count)]

    def _next(self) -> int:
        self._count += 1
        return self._count


def _amount(quantity: int | None, price: str) -> Decimal:
    return Decimal(price) if quantity is None else quantity * Decimal(price)


def post(ledger: Ledger, client: str, decided: list[Row], *, at: datetime = DECIDED, mark: str = "") -> None:
    """Send one invoice of a client, with a line for each of its approvals; `mark` tells it from others."""
    intent = {
        "invoice_id": f"invoice-{client}{mark}", "reference": f"M-{client}{mark}", "destination": "books",
        "client_id": client, "period_month": decided[0]["period_month"], "currency": decided[0]["currency"],
        "total_amount": sum(d["amount"] for d in decided),
    }  # fmt: skip
    lines = [
        invoices.Line(**{c: d[c] for c in ("decision_id", "discrepancy_id", "service_id", "kind", "quantity", "amount")},
                      unit_price=d["amount"] / d["quantity"], description="")
        for d in decided
    ]  # fmt: skip
    said: Row = {"actor": "Fay", "at": at}
    invoices.add(ledger, intent, lines, payload="{}", customer_id=f"qb-{client}", **said)
    for state in ("sending", "posted"):
        accounting_id = f"ours-{client}{mark}"
        invoices.step(
            ledger, invoices.one(ledger, str(intent["invoice_id"])), state, accounting_id=accounting_id, **said
        )


@dataclass(frozen=True)
class Mart:
    """What finance sees, and beside it the warehouse it was made from."""

    published: Path
    warehouse: Path

    def rows(self, client: str | None, *, month: str | None = "2026-11", **where: str) -> list[Row]:
        """The rows of a client (of nobody's, when it is None), this month's unless another is named."""
        found = self.ask(
            "select * from marts.discrepancies where client_id is not distinct from ? order by period_month, kind, service_id",
            client,
        )
        chosen = [r for r in found if month is None or str(r["period_month"]).startswith(month)]
        return [r for r in chosen if all(r[column] == value for column, value in where.items())]

    def row(self, client: str | None, *, month: str = "2026-11", **where: str) -> Row:
        """The one row there is."""
        found = self.rows(client, month=month, **where)
        assert len(found) == 1, [(r["service_id"], r["kind"]) for r in found]
        return found[0]

    def margin(self, client: str, service: str) -> Row:
        """What is known of one service of a client, side by side."""
        sql = "select * from marts.margins where client_id = ? and service_id = ?"
        (found,) = self.ask(sql, client, service)
        return found

    def gaps(self, client: str, gap: str | None = None) -> list[Row]:
        """The machines of a client that are missing somewhere, or might be."""
        sql = (
            "select * from marts.coverage_gaps where client_id = ? and gap = coalesce(?, gap) order by device_name, gap"
        )
        return self.ask(sql, client, gap)

    def evidence(self, row: Row, **where: str) -> list[Row]:
        found = self.ask(
            "select * from marts.discrepancy_evidence where discrepancy_id = ? order by record_id",
            row["discrepancy_id"],
        )
        return [r for r in found if all(r[column] == value for column, value in where.items())]

    def buckets(self, client: str) -> dict[tuple[str, str], int]:
        """How many current records of a client stand in which bucket, for which reason."""
        sql = "select bucket, bucket_reason, count(*) from intermediate.int_records_bucketed where client_id = ? group by all"
        with duckdb.connect(str(self.warehouse), read_only=True) as con:
            return {(bucket, reason): count for bucket, reason, count in con.execute(sql, [client]).fetchall()}

    def ask(self, sql: str, *values: Any, from_warehouse: bool = False) -> list[Row]:
        with duckdb.connect(str(self.warehouse if from_warehouse else self.published), read_only=True) as con:
            cursor = con.execute(sql, list(values))
            names = [c[0] for c in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
