"""The ledger's tables. Rows are added and never changed, except in `refresh_tokens` and `chain_head`.

Belongs here: columns and how values are stored. Exact values are stored as text, so that SQLite and PostgreSQL keep
the same bytes and the audit chain can be recomputed from what is really there.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from morton_pipeline.ledger.canonical import instant_text, plain


class Exact(sa.types.TypeDecorator[Decimal]):
    """A decimal, as text: no engine rounds it."""

    impl = sa.String(60)
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Any) -> str | None:  # noqa: D102
        return None if value is None else plain(value)

    def process_result_value(self, value: str | None, dialect: Any) -> Decimal | None:  # noqa: D102
        return None if value is None else Decimal(value)


class Instant(sa.types.TypeDecorator[datetime]):
    """An instant in UTC."""

    impl = sa.String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> str | None:  # noqa: D102
        return None if value is None else instant_text(value)

    def process_result_value(self, value: str | None, dialect: Any) -> datetime | None:  # noqa: D102
        return None if value is None else datetime.fromisoformat(value).astimezone(UTC)


class Day(sa.types.TypeDecorator[date]):
    """A calendar day."""

    impl = sa.String(10)
    cache_ok = True

    def process_bind_param(self, value: date | None, dialect: Any) -> str | None:  # noqa: D102
        return None if value is None else value.isoformat()

    def process_result_value(self, value: str | None, dialect: Any) -> date | None:  # noqa: D102
        return None if value is None else date.fromisoformat(value)


def stored(table: sa.Table, values: dict[str, Any]) -> dict[str, Any]:
    """Return a row as the database will hold it, every column present: what the audit chain's digest is taken of."""
    row = {}
    for column in table.columns:
        value = values.get(column.name)
        kind = column.type
        row[column.name] = kind.process_bind_param(value, None) if isinstance(kind, Exact | Instant | Day) else value
    return row


def raw(table: sa.Table) -> sa.Select[Any]:
    """Select every column as it is stored, unconverted: an edited value may no longer be a date or a number."""
    return sa.select(
        *(
            sa.type_coerce(c, sa.String()).label(c.name) if isinstance(c.type, Exact | Instant | Day) else c
            for c in table.columns
        )
    )


METADATA = sa.MetaData()

audit = sa.Table(
    "audit",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("what", sa.String(40), nullable=False),
    sa.Column("row_key", sa.String(200), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("prev_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("hash", sa.String(64), nullable=False),
)

chain_head = sa.Table(
    "chain_head",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
)
"""One row: where the chain ends. Its row lock is what makes writers take turns on PostgreSQL."""

decisions = sa.Table(
    "decisions",
    METADATA,
    sa.Column("decision_id", sa.String(40), primary_key=True),
    sa.Column("discrepancy_id", sa.String(40), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("action", sa.String(20), nullable=False),
    sa.Column("seal", sa.String(64), nullable=False),
    sa.Column("period_month", Day, nullable=False),
    sa.Column("client_id", sa.String(200)),
    sa.Column("service_id", sa.String(200)),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("quantity", Exact),
    sa.Column("amount", Exact),
    sa.Column("currency", sa.String(3)),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("decided_by", sa.String(200), nullable=False),
    sa.Column("decided_at", Instant, nullable=False),
    sa.Column("until_on", Day),
    sa.Column("undoes", sa.String(40)),
    sa.Column("records", sa.Text, nullable=False),
    sa.Column("row", sa.Text, nullable=False),
    sa.UniqueConstraint("discrepancy_id", "version"),
)
"""`records`: what an exclude names, as JSON. `row`: the whole mart row that was decided on, and beside its columns an
approval's `line_sha256` and what else is told with a decision: a column added here changes the digest of older rows.
`undoes`: the decision a reopen undid."""

invoices = sa.Table(
    "invoices",
    METADATA,
    sa.Column("invoice_id", sa.String(40), primary_key=True),
    sa.Column("reference", sa.String(21), nullable=False, unique=True),
    sa.Column("destination", sa.String(200), nullable=False),
    sa.Column("client_id", sa.String(200), nullable=False),
    sa.Column("period_month", Day, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("total_amount", Exact, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
)

invoice_lines = sa.Table(
    "invoice_lines",
    METADATA,
    sa.Column("invoice_id", sa.String(40), sa.ForeignKey("invoices.invoice_id"), primary_key=True),
    sa.Column("line_number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("decision_id", sa.String(40), sa.ForeignKey("decisions.decision_id"), nullable=False, index=True),
    sa.Column("discrepancy_id", sa.String(40), nullable=False, index=True),
    sa.Column("service_id", sa.String(200)),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("quantity", Exact, nullable=False),
    sa.Column("unit_price", Exact, nullable=False),
    sa.Column("amount", Exact, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
)

invoice_events = sa.Table(
    "invoice_events",
    METADATA,
    sa.Column("invoice_id", sa.String(40), sa.ForeignKey("invoices.invoice_id"), primary_key=True),
    sa.Column("step", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("cause", sa.String(80), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("accounting_id", sa.String(200)),
    sa.Column("payload", sa.Text),
    sa.Column("customer_id", sa.String(200)),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("wall_at", Instant, nullable=False),
)
"""Every step an invoice took. `payload`: set where the body to send was written or written anew. `wall_at`: by the real
clock, which is what an accounting system's own deadlines run by, whatever `MORTON_NOW` says."""

tokens = sa.Table(
    "refresh_tokens",
    METADATA,
    sa.Column("connection_id", sa.String(200), primary_key=True),
    sa.Column("seed_digest", sa.String(64), nullable=False),
    sa.Column("token", sa.Text, nullable=False),
    sa.Column("saved_at", Instant, nullable=False),
)
"""What each connection's sign-in is worth at present, encrypted. `seed_digest`: of the secret the chain began with."""

CHAINED = {t.name: t for t in (decisions, invoices, invoice_lines, invoice_events)}
"""The tables whose every row stands in the audit chain."""
