"""Which raw tables there are, and their columns. A vendor's tables derive from its records; the others are listed here.

Belongs here: declarations, and how SQL and Arrow write them. Does not: a connection to anything.
"""

from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from morton_pipeline.extract.records import columns
from morton_pipeline.extract.vendor import Endpoint
from morton_pipeline.vendors import VENDORS


@dataclass(frozen=True)
class Field:
    """One column of a raw table."""

    name: str
    sql_type: str
    comment: str


@dataclass(frozen=True)
class Table:
    """One raw table."""

    schema: str
    name: str
    comment: str
    fields: tuple[Field, ...]

    @property
    def sql(self) -> str:
        """Its name as SQL writes it."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"


def _fields(*declared: tuple[str, str, str]) -> tuple[Field, ...]:
    return tuple(Field(*one) for one in declared)


_SCOPE = (
    ("connection_id", "varchar", "The connection it came through."),
    ("vendor", "varchar", "The vendor of that connection."),
    ("endpoint", "varchar", "The list that was read."),
    ("tenant_id", "varchar", "The tenant; empty for a vendor with one tenant for the whole account."),
)
_TENANT_NAME = ("tenant_name", "varchar", "The tenant's name as the vendor knows it.")

EXTRACTIONS = Table("raw", "extractions", "Every attempt to read a scope, also failed and unchanged ones.", _fields(
    ("extraction_id", "varchar", "Names the attempt: instant, connection, endpoint, tenant."),
    *_SCOPE,
    _TENANT_NAME,
    ("attempted_at", "timestamp", "When it was read (UTC); strictly increasing within a scope."),
    ("status", "varchar", "complete, partial (some records set aside), suspect (held back) or failed."),
    ("record_count", "bigint", "Records the vendor sent: kept plus quarantined. Empty when the attempt failed."),
    ("quarantined_count", "bigint", "Records set aside because they failed validation."),
    ("added_count", "bigint", "Records that were not there before."),
    ("changed_count", "bigint", "Records that differ from before."),
    ("removed_count", "bigint", "Records that are no longer there."),
    ("reason", "varchar", "Why it failed, is suspect or partial; empty when complete."),
    ("accepted_by", "varchar", "Who accepted a suspect or partial extraction."),
    ("accepted_at", "timestamp", "When it was accepted (UTC); a suspect one counts from then on."),
    ("journal_file", "varchar", "The journal's Parquet file with its changes; empty when nothing changed."),
    ("journal_sha256", "varchar", "The hash of that file."),
    ("source_file", "varchar", "The report it was read from; empty where an API was asked."),
    ("source_sha256", "varchar", "The hash of that report: the same one of the same day is no new reading."),
    ("source_as_of_at", "timestamp", "The instant that report is of (UTC)."),
    ("stands_for_on", "date", "The day its records stand for; empty where they stand for when they were read."),
    ("judged", "varchar", "What its status was before anybody accepted it."),
))  # fmt: skip

QUARANTINE = Table("raw", "quarantine", "Cells for which a record was set aside.", _fields(
    ("extraction_id", "varchar", "The attempt that brought the record."),
    *_SCOPE,
    ("record_key", "varchar", "The record; empty when its key cannot be read."),
    ("column_name", "varchar", "The column that failed."),
    ("check_name", "varchar", "The check it failed."),
    ("value", "varchar", "What stood there."),
))  # fmt: skip

SCOPES = Table("raw", "scopes", "What should be read, and how old it may grow. Rewritten before each build.", _fields(
    *_SCOPE,
    _TENANT_NAME,
    ("allowed_age_minutes", "bigint", "Twice the longest pause in the schedule."),
    ("is_connected", "boolean", "Whether connections.yaml still names it."),
    ("declared_as", "varchar", "rest or files, where connections.yaml declares the tool itself; else empty."),
    ("category", "varchar", "What its tool is about: rmm, security, backup and further words."),
    ("secret_expires_on", "date", "The first day its connection's secrets are no longer accepted, where that is said."),
))  # fmt: skip

TOOLS = Table("raw", "tools", "What each tool is called in sentences. Rewritten before each build.", _fields(
    ("tool", "varchar", "What contracts and mappings call it: a vendor, or a tool that connections.yaml declares."),
    ("title", "varchar", "What sentences call it."),
))  # fmt: skip

VENDOR_RULES = Table("raw", "vendor_rules", "What is never billed; known states. Rewritten before each build.", _fields(
    ("vendor", "varchar", "The vendor whose page says so."),
    ("endpoint", "varchar", "The list it concerns."),
    ("field", "varchar", "The column it looks at."),
    ("pattern", "varchar", "A glob, without regard to case."),
    ("rule_name", "varchar", "The name shown as the reason of the bucket; empty for a state that counts."),
    ("reason", "varchar", "The rule in one sentence; empty for a state that counts."),
))  # fmt: skip

JOURNAL_POSITION = Table("raw", "journal_position", "How far the journal has been applied: one row.", _fields(
    ("file_name", "varchar", "The journal file."),
    ("byte_offset", "bigint", "Where the next line begins."),
    ("line_number", "bigint", "The number of the last line applied."),
))  # fmt: skip

BUILT_FROM = Table("raw", "built_from", "What the marts were built from: one row, published with them.", _fields(
    ("file_name", "varchar", "The journal file that was applied last."),
    ("byte_offset", "bigint", "Where the first line begins that was not."),
    ("files_sha256", "varchar", "The hash of the seeds and connections.yaml."),
    ("exclusions_sha256", "varchar", "The hash of what the ledger's exclusions in force are called."),
))  # fmt: skip

KNOWN_SEEDS = Table("raw", "known_seeds", "Which files builds stood on: one set per change of any of them.", _fields(
    ("set_number", "bigint", "The journal's line that says so; a later set has a higher one."),
    ("known_at", "timestamp", "The instant of the build that used it first (UTC)."),
    ("file_name", "varchar", "A seed, a reference seed or connections.yaml."),
    ("sha256", "varchar", "The hash of its content, and its name in the journal."),
))  # fmt: skip

_CLOSED = (
    ("client_id", "varchar", "The client."),
    ("period_month", "date", "The month that was closed for the client."),
)
_CLOSED_AT = ("closed_at", "timestamp", "The instant of the build that closed it (UTC); known from then on.")
_CLOSED_ROW = ("discrepancy_id", "varchar", "The row of that month.")

CLOSED = (
    Table("raw", "closed_periods", "The months that are closed, and for whom.", _fields(*_CLOSED, _CLOSED_AT)),
    Table("raw", "closed_findings", "The rows of a closed month as they stood when it was closed.", _fields(
        *_CLOSED,
        _CLOSED_ROW,
        ("client_name", "varchar", "The client's name then."),
        ("service_id", "varchar", "The service."),
        ("service_name", "varchar", "The service's name then."),
        ("kind", "varchar", "The kind of the row."),
        ("vendor", "varchar", "The tool that counted."),
        ("observed_quantity", "decimal(18, 4)", "What it counted."),
        ("contracted_quantity", "decimal(18, 4)", "What the contract said."),
        ("invoiced_quantity", "decimal(18, 4)", "What the month's invoices billed."),
        ("invoiced_as", "varchar", "The numbers of those invoices."),
        ("billed_to", "varchar", "Whom the accounting system would have billed, and for which item."),
        ("variance_quantity", "decimal(18, 4)", "Billable less contracted."),
        ("price", "decimal(18, 4)", "The price of one."),
        ("currency", "varchar", "The currency of the amounts."),
        ("variance_amount", "decimal(18, 4)", "What the variance was worth."),
        ("accumulated_amount", "decimal(18, 4)", "What it had been worth since it began, up to the end of the month."),
        ("lost_unit_days", "decimal(18, 4)", "The variance of each day since it began, added up."),
        ("began_on", "date", "The first day of its run."),
        ("measured_on", "date", "The day it was counted by: the month's last, or that of the first reading after it."),
        ("state", "varchar", "How far the count could be trusted."),
        ("source_as_of_at", "timestamp", "When the oldest reading behind it was complete (UTC)."),
        ("is_within_tolerance", "boolean", "Whether the contract's tolerance covered it."),
        ("is_estimate", "boolean", "Whether no agreed price stood behind the amount."),
        ("explanation", "varchar", "What it said."),
        ("seal", "varchar", "The hash an approval of it stands on."),
        ("unexplained_quantity", "decimal(18, 4)", "How much of its change no record accounted for."),
        _CLOSED_AT,
    )),
    Table("raw", "closed_evidence", "The records behind those rows.", _fields(
        *_CLOSED,
        _CLOSED_ROW,
        ("vendor", "varchar", "The tool that lists the record."),
        ("connection_id", "varchar", "The connection it came through."),
        ("record_path", "varchar", "The record, among all."),
        ("record_id", "varchar", "Its id at the vendor."),
        ("record_name", "varchar", "Its name at the vendor."),
        ("quantity", "decimal(18, 4)", "How many units it stood for."),
        ("bucket", "varchar", "Where it ended."),
        ("bucket_reason", "varchar", "Why."),
        ("first_seen_on", "date", "The first day it was seen."),
        ("last_seen_on", "date", "The last day it was seen, up to the end of the month."),
        ("service_pattern_key", "varchar", "The mapping that made it count."),
        ("change", "varchar", "added, removed or kept since the last agreed set."),
        ("company_id", "varchar", "The company it was listed under."),
        ("extraction_id", "varchar", "The reading that brought it as it stood."),
        ("is_personal", "boolean", "Whether it is a person."),
        _CLOSED_AT,
    )),
    Table("raw", "closed_mappings", "The mappings by which those records were counted.", _fields(
        *_CLOSED,
        _CLOSED_ROW,
        ("mapping", "varchar", "company or service."),
        ("vendor", "varchar", "The tool it is about."),
        ("connection_id", "varchar", "The connection, of a company."),
        ("company_id", "varchar", "The company's id at the vendor."),
        ("company_name", "varchar", "The company's name in the seed."),
        ("endpoint", "varchar", "The list, of a service."),
        ("field", "varchar", "The field it looks at."),
        ("pattern", "varchar", "The pattern it looks for."),
        ("maps_to", "varchar", "The client or the service it names."),
        ("effective_from", "date", "The first day it held; empty without one."),
        ("effective_to", "date", "The first day it no longer held; empty without one."),
        _CLOSED_AT,
    )),
    Table("raw", "closed_readings", "The readings behind those rows.", _fields(
        *_CLOSED,
        _CLOSED_ROW,
        ("extraction_id", "varchar", "The reading."),
        ("is_measurement", "boolean", "Whether the row was measured by it."),
        ("record_count", "bigint", "How many of the row's records it brought as they stood."),
        _CLOSED_AT,
    )),
    Table("raw", "closed_stretches", "The days behind those rows, where each was worth the same.", _fields(
        *_CLOSED,
        _CLOSED_ROW,
        ("first_on", "date", "The first of those days."),
        ("last_on", "date", "The last of them."),
        ("day_amount", "decimal(32, 14)", "What the variance was worth on each."),
        _CLOSED_AT,
    )),
    Table("raw", "closed_terms", "What was agreed and counted at the end of a closed month, as it was closed.", _fields(
        *_CLOSED,
        ("service_id", "varchar", "The service."),
        ("contract_id", "varchar", "The contract version that decided; empty without one."),
        ("contract_text", "varchar", "That version, in the words a seal is taken of; empty without one."),
        ("billing_model", "varchar", "How it made a billable quantity of an observed one."),
        ("contracted_quantity", "decimal(18, 4)", "The quantity it charged for in the month."),
        ("contracted_amount", "decimal(28, 8)", "What that quantity cost."),
        ("price", "decimal(18, 4)", "The price of the last of them."),
        ("price_days", "decimal(28, 4)", "The price of one on every day of the month, added up."),
        ("currency", "varchar", "The currency of the client's invoices; empty in months closed before it was kept."),
        ("tolerance_quantity", "decimal(18, 4)", "The difference it tolerated."),
        ("observed_quantity", "decimal(18, 4)", "What was counted; empty where nothing was."),
        _CLOSED_AT,
    )),
    Table("raw", "closed_steps", "The steps of a tiered price at the end of a closed month, as it was closed.", _fields(
        *_CLOSED,
        ("service_id", "varchar", "The service."),
        ("is_above", "decimal(18, 4)", "The quantity a step begins above."),
        ("top", "decimal(18, 4)", "The last quantity in it; empty for the last step."),
        ("priced_from", "decimal(18, 4)", "The quantity above which its price holds."),
        ("amount_below", "decimal(28, 8)", "What the units up to there cost."),
        ("unit_price", "decimal(18, 4)", "The price of one."),
        _CLOSED_AT,
    )),
)  # fmt: skip
"""What a closed month keeps: one Parquet file of a closing each; `warehouse.closing` says where its rows come from."""

LEDGER = (
    Table("raw_ledger", "decisions", "What people decided: a copy of the ledger.", _fields(
        ("decision_id", "varchar", "Names the decision."),
        ("discrepancy_id", "varchar", "The row it answers."),
        ("version", "bigint", "Counts the decisions on that row."),
        ("action", "varchar", "approve, write_off, exclude, snooze or reopen."),
        ("seal", "varchar", "The hash of what was seen when it was decided."),
        ("period_month", "date", "The period of the row."),
        ("client_id", "varchar", "The client of the row."),
        ("service_id", "varchar", "The service of the row."),
        ("kind", "varchar", "The kind of the row."),
        ("quantity", "decimal(18, 4)", "The quantity decided on."),
        ("amount", "decimal(18, 4)", "The money decided on."),
        ("currency", "varchar", "The currency of the amount."),
        ("reason", "varchar", "Why."),
        ("decided_by", "varchar", "Who."),
        ("decided_at", "timestamp", "When (UTC)."),
        ("until_on", "date", "Until when it holds; empty when it does not end."),
        ("undoes", "varchar", "The decision a reopen undid."),
        ("cause", "varchar", "What must be mended where something is written off or excluded."),
        ("is_latest", "boolean", "Whether it is the last word on that row."),
    )),
    Table("raw_ledger", "exclusions", "Records people excluded, where still in force: a copy of the ledger.", _fields(
        ("exclusion_id", "varchar", "Names the exclusion."),
        ("discrepancy_id", "varchar", "The row it was decided on."),
        ("client_id", "varchar", "The client it holds for."),
        ("service_id", "varchar", "The service it holds for."),
        ("vendor", "varchar", "The vendor of the record."),
        ("record_id", "varchar", "The record left out."),
        ("reason", "varchar", "Why."),
        ("owner", "varchar", "Who answers for it."),
        ("effective_from", "date", "The first day it holds."),
        ("expires_on", "date", "The first day it no longer holds."),
    )),
    Table("raw_ledger", "invoices", "Invoices and what became of them: a copy of the ledger.", _fields(
        ("invoice_id", "varchar", "Ours."),
        ("reference", "varchar", "What we wrote on it, and look it up by."),
        ("destination", "varchar", "The connection it was meant for, or files."),
        ("client_id", "varchar", "The client billed."),
        ("period_month", "date", "The period billed."),
        ("currency", "varchar", "The currency of the total."),
        ("total_amount", "decimal(18, 4)", "The sum of its lines."),
        ("state", "varchar", "planned, sending, posted, refused, uncertain or parked."),
        ("reason", "varchar", "Why it is refused, uncertain or parked."),
        ("customer_id", "varchar", "The accounting system's id of whom it bills."),
        ("accounting_id", "varchar", "The accounting system's own id."),
        ("updated_at", "timestamp", "When its state last changed (UTC)."),
    )),
    Table("raw_ledger", "invoice_lines", "The lines of those invoices: a copy of the ledger.", _fields(
        ("invoice_id", "varchar", "The invoice it stands on."),
        ("decision_id", "varchar", "The approval it carries out."),
        ("discrepancy_id", "varchar", "The row that was approved."),
        ("period_month", "date", "The period of the row."),
        ("client_id", "varchar", "The client billed."),
        ("service_id", "varchar", "The service billed."),
        ("kind", "varchar", "The kind of the row."),
        ("quantity", "decimal(18, 4)", "The quantity billed."),
        ("unit_price", "decimal(18, 4)", "The price of one."),
        ("amount", "decimal(18, 4)", "The amount, as it was approved."),
        ("currency", "varchar", "The currency of the amount."),
        ("state", "varchar", "The state of its invoice."),
        ("accounting_id", "varchar", "The accounting system's own id of the invoice."),
    )),
)  # fmt: skip
"""The ledger's copies. What `ledger.snapshot` gives must have exactly these columns."""

_BEFORE = _fields(
    ("record_key", "varchar", "Names the record within its connection and tenant, for life."),
    ("connection_id", "varchar", "The connection it came through."),
    ("tenant_id", "varchar", "The tenant it belongs to; empty for a vendor with one tenant for the whole account."),
)
_AFTER = _fields(
    ("row_hash", "varchar", "Tells two versions of the record apart."),
    ("valid_from", "timestamp", "When we first knew this version (UTC)."),
    ("valid_to", "timestamp", "When we knew better (UTC); empty for the current version."),
    ("extraction_id", "varchar", "The extraction that brought this version."),
)


@cache
def record_table(vendor: str, endpoint: str) -> Table | None:
    """Return the table of a vendor's list, or nothing when no vendor page declares it any more."""
    found = [e for e in VENDORS[vendor].endpoints if e.name == endpoint] if vendor in VENDORS else []
    return _record_table(vendor, found[0]) if found else None


def _record_table(vendor: str, endpoint: Endpoint) -> Table:
    own = declared_fields(endpoint)
    reserved = {f.name for f in (*_BEFORE, *_AFTER)} & {f.name for f in own}
    if reserved:
        raise ValueError(
            f"vendors/{vendor}.py: {endpoint.name} declares {sorted(reserved)}, names the warehouse uses itself."
        )
    return Table(f"raw_{vendor}", endpoint.name, endpoint.description, (*_BEFORE, *own, *_AFTER))


def declared_fields(endpoint: Endpoint) -> tuple[Field, ...]:
    """Return the columns a vendor page declares for one of its lists."""
    return tuple(Field(c.name, c.sql_type, c.description) for c in columns(endpoint.record))


@cache
def all_tables() -> tuple[Table, ...]:
    """Return every raw table there must be."""
    of_vendors = (_record_table(v.name, e) for v in VENDORS.values() for e in v.endpoints)
    of_morton = (EXTRACTIONS, QUARANTINE, SCOPES, TOOLS, VENDOR_RULES, JOURNAL_POSITION, BUILT_FROM, KNOWN_SEEDS)
    return (*of_morton, *CLOSED, *LEDGER, *of_vendors)


def arrow_type(sql_type: str) -> pa.DataType:
    """Return what Arrow calls a SQL type of ours."""
    if sql_type.startswith("decimal"):
        precision, scale = (int(part) for part in sql_type.removeprefix("decimal(").removesuffix(")").split(","))
        return pa.decimal128(precision, scale)
    return {"varchar": pa.string(), "bigint": pa.int64(), "boolean": pa.bool_(), "date": pa.date32(),
            "timestamp": pa.timestamp("us")}[sql_type]  # fmt: skip


def quoted(name: str) -> str:
    """Write an identifier so that no vendor's field name can be a keyword."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Write a string where SQL takes no parameter."""
    return "'" + text.replace("'", "''") + "'"
