"""QuickBooks Desktop, as far as invoices need it: a company file that carries qbXML out, and the Web Connector.

Belongs here: what QuickBooks would answer, its refusals and what it keeps of a message set, and a Web Connector that
calls our service and may break off anywhere. Does not: who the customers are and what they were invoiced; whoever fills
the `CompanyFile` knows that.
"""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from random import Random
from typing import Any

from lxml import etree

Json = Any
Fault = Callable[[str], str]
"""What becomes of a request: one of `FAULTS`, or nothing."""

FAULTS = ("dies before", "dies after", "fails before", "fails after", "garbles", "says no status", "slow")
"""The Web Connector dies before or after QuickBooks carried the request out; it reports an error in place of the
answer; the answer arrives broken, or without a status; it takes its time."""
BAD_XML, NO_ANSWER = "0x80040400", "0x80040402"
DOCUMENTS = ("Invoice", "CreditMemo")

_REF = ("ListID", "FullName")
_QUERY_END = ("IncludeRetElement", "OwnerID")
_DOCUMENT_QUERY = (
    "TxnID", "RefNumber", "RefNumberCaseSensitive", "MaxReturned", "ModifiedDateRangeFilter", "TxnDateRangeFilter",
    "EntityFilter", "AccountFilter", "RefNumberFilter", "RefNumberRangeFilter", "CurrencyFilter", "PaidStatus",
    "IncludeLineItems", "IncludeLinkedTxns", *_QUERY_END,
)  # fmt: skip
_LIST_QUERY = (
    "ListID", "FullName", "MaxReturned", "ActiveStatus", "FromModifiedDate", "ToModifiedDate", "NameFilter",
    *_QUERY_END,
)  # fmt: skip
_DOCUMENT = (
    "CustomerRef", "ClassRef", "ARAccountRef", "TemplateRef", "TxnDate", "RefNumber", "BillAddress", "ShipAddress",
    "IsPending", "PONumber", "TermsRef", "DueDate", "Memo", "IsToBePrinted", "IsToBeEmailed", "Other", "ExternalGUID",
)  # fmt: skip
_LINE = ("ItemRef", "Desc", "Quantity", "UnitOfMeasure", "Rate", "ClassRef", "Amount", "ServiceDate", "SalesTaxCodeRef")

ORDER: Mapping[str, tuple[str, ...]] = {
    "HostQueryRq": ("IncludeRetElement",),
    "CustomerQueryRq": _LIST_QUERY,
    "ItemServiceQueryRq": _LIST_QUERY,
    "TxnDateRangeFilter": ("FromTxnDate", "ToTxnDate"),
    "CustomerRef": _REF,
    "ItemRef": _REF,
    **{f"{entity}QueryRq": _DOCUMENT_QUERY for entity in DOCUMENTS},
    **{f"{entity}AddRq": (f"{entity}Add", "IncludeRetElement") for entity in DOCUMENTS},
    **{f"{entity}Add": (*_DOCUMENT, f"{entity}LineAdd") for entity in DOCUMENTS},
    **{f"{entity}LineAdd": _LINE for entity in DOCUMENTS},
}
"""What may stand in an element, in the order it must."""
LENGTHS = {"RefNumber": 11, "Memo": 4095, "Desc": 4095, "PONumber": 25}


class NotParsed(Exception):
    """QuickBooks cannot read a message at all: nothing of it is carried out."""


class Refusal(Exception):
    """A status code and QuickBooks' words for a request it does not carry out."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class CompanyFile:
    """One company file. Records are held as QuickBooks shows them, by id."""

    path: str = "C:\\Books\\Harbor IT.qbw"
    currency: str = ""
    """The name of the home currency, where the company uses several."""
    version: tuple[int, int] = (13, 0)
    """The newest qbXML it understands."""
    closed_until: date | None = None
    """Nothing dated on or before this day is accepted."""
    today: Callable[[], date] = lambda: date(2026, 11, 23)
    keeps_status: bool = True
    """Whether what became of a message set can still be asked for."""
    answer_refusal: tuple[int, str] | None = None
    """A refusal of every request, such as of a user without permission."""
    customers: dict[str, Json] = field(default_factory=dict)
    items: dict[str, Json] = field(default_factory=dict)
    documents: dict[str, Json] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    """Every message set that was read."""
    adds: list[tuple[str, str]] = field(default_factory=list)
    """Every Add that was carried out or refused: the set's id, and the number."""
    kept: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By a set's id: the hash of what was asked, and the answer."""
    _iterators: dict[str, list[Json]] = field(default_factory=dict)
    _count: int = 0

    def add_customer(self, customer_id: str, name: str, *, currency: str = "", active: bool = True) -> None:
        """Add a customer; `currency` is the name QuickBooks has for it."""
        named = currency or self.currency
        self.customers[customer_id] = {
            "ListID": customer_id,
            "Name": name,
            "FullName": name,
            "IsActive": _bool(active),
            "Sublevel": "0",
            **({"CurrencyRef": {"ListID": named, "FullName": named}} if named else {}),
        }

    def add_item(self, item_id: str, name: str, unit_price: Decimal = Decimal(0), *, active: bool = True) -> None:
        """Add a service."""
        self.items[item_id] = {
            "ListID": item_id,
            "Name": name,
            "FullName": name,
            "IsActive": _bool(active),
            "Sublevel": "0",
            "SalesOrPurchase": {"Price": _money(unit_price)},
        }

    def add_by_hand(self, entity: str, fields: Json) -> str:
        """Make a document as a person would, by the fields of an Add; returns its id. Raises `Refusal`."""
        return str(self._make(entity, fields)["TxnID"])

    def edit(self, txn_id: str, **changes: str) -> None:
        """Change fields of a document by hand."""
        self.documents[txn_id] |= changes

    def void(self, txn_id: str) -> None:
        """Void a document: it keeps its number, bills nothing and says so."""
        document = self.documents[txn_id]
        for line in document[f"{document['TxnType']}LineRet"]:
            line |= {"Quantity": "0", "Amount": "0.00"}
        document |= {"Subtotal": "0.00", "Memo": f"VOID: {document.get('Memo', '')}"}

    def delete(self, txn_id: str) -> None:
        """Delete a document: nothing of it is left."""
        del self.documents[txn_id]

    def begin_session(self) -> None:
        """Open the company file for another visit: iterators of an earlier one are gone."""
        self._iterators.clear()

    def memory(self) -> str:
        """Write down what outlives the process: documents, and what is kept of message sets."""
        return json.dumps({"documents": self.documents, "kept": self.kept, "adds": self.adds, "count": self._count})

    def recall(self, memory: str) -> None:
        """Go on from what an earlier process wrote down."""
        known = json.loads(memory)
        self.documents, self._count = known["documents"], known["count"]
        self.kept = {set_id: (asked, answer) for set_id, (asked, answer) in known["kept"].items()}
        self.adds = [(set_id, number) for set_id, number in known["adds"]]

    def execute(self, text: str) -> str:
        """Carry a message set out and answer it. Raises `NotParsed`."""
        wrapper = _parsed(text)
        self.requests.append(text)
        new_id, old_id = wrapper.get("newMessageSetID", ""), wrapper.get("oldMessageSetID", "")
        if max(len(new_id), len(old_id)) > 24:
            return _envelope("", 9004)
        if not len(wrapper):
            return self._recover(new_id, old_id)
        asked = hashlib.sha256(etree.tostring(wrapper)).hexdigest()
        if new_id in self.kept:
            known, answer = self.kept[new_id]
            return _envelope(answer, 0, new_id) if known == asked else _envelope("", 9001, new_id)
        answer = "".join(self._answer(request, new_id) for request in wrapper)
        if new_id and self.keeps_status:
            self.kept[new_id] = (asked, answer)
        return _envelope(answer, 0 if new_id else None, new_id)

    def _recover(self, new_id: str, old_id: str) -> str:
        if new_id and new_id == old_id:
            return _envelope(self.kept[new_id][1], 0, new_id) if new_id in self.kept else _envelope("", 9002, new_id)
        return _envelope("", 0 if self.kept.pop(old_id, None) else 600)

    def _answer(self, request: etree._Element, set_id: str) -> str:
        name = str(request.tag).removesuffix("Rq")
        try:
            if self.answer_refusal is not None:
                raise Refusal(*self.answer_refusal)
            if name == "HostQuery":
                return _result(name, "<HostRet><ProductName>QuickBooks Pro 2026</ProductName></HostRet>")
            if name.endswith("Add"):
                return self._added(name.removesuffix("Add"), request, set_id)
            return self._listed(name.removesuffix("Query"), request)
        except Refusal as refusal:
            return _result(name, "", refusal.code, str(refusal))

    def _added(self, entity: str, request: etree._Element, set_id: str) -> str:
        fields = _fields(request[0])
        self.adds.append((set_id, str(fields.get("RefNumber", ""))))
        return _result(f"{entity}Add", _xml(f"{entity}Ret", self._make(entity, fields)))

    def _make(self, entity: str, fields: Json) -> Json:
        for name, text in fields.items():
            if name in LENGTHS and len(str(text)) > LENGTHS[name]:
                raise Refusal(3070, f'The string "{text}" in the field "{name}" is too long.')
        customer = self._referred(self.customers, fields.get("CustomerRef"), "Customer", entity)
        dated_on = date.fromisoformat(fields.get("TxnDate") or self.today().isoformat())
        if self.closed_until is not None and dated_on <= self.closed_until:
            raise Refusal(3171, "The transaction's date is on or before the closing date of the company file.")
        self._count += 1
        lines = [
            self._line(entity, line, f"{self._count:X}-{n}")
            for n, line in enumerate(_many(fields.get(f"{entity}LineAdd")), 1)
        ]
        txn_id = f"{self._count:X}-{1_800_000_000 + self._count}"
        self.documents[txn_id] = {
            "TxnType": entity,
            "TxnID": txn_id,
            "EditSequence": "1",
            "TxnNumber": str(self._count),
            "CustomerRef": {"ListID": customer["ListID"], "FullName": customer["FullName"]},
            "TxnDate": str(dated_on),
            **({"RefNumber": fields["RefNumber"]} if "RefNumber" in fields else {}),
            "IsPending": fields.get("IsPending", "false"),
            "Subtotal": _money(sum((Decimal(line["Amount"]) for line in lines), Decimal(0))),
            **({"CurrencyRef": customer["CurrencyRef"]} if "CurrencyRef" in customer else {}),
            **({"Memo": fields["Memo"]} if "Memo" in fields else {}),
            f"{entity}LineRet": lines,
        }
        return self.documents[txn_id]

    def _line(self, entity: str, line: Json, line_id: str) -> Json:
        item = self._referred(self.items, line.get("ItemRef"), "Item", entity)
        if len(line.get("Desc", "")) > LENGTHS["Desc"]:
            raise Refusal(3070, 'The string in the field "Desc" is too long.')
        try:
            quantity = Decimal(line["Quantity"]) if "Quantity" in line else None
            rate = Decimal(line["Rate"]) if "Rate" in line else None
            amount = Decimal(line["Amount"]) if "Amount" in line else (quantity or Decimal(1)) * (rate or Decimal(0))
        except InvalidOperation:
            raise Refusal(3040, "There was an error when converting an amount.") from None
        if rate is None and quantity:
            rate = (amount / quantity).quantize(Decimal("0.00001"), ROUND_HALF_UP)
        return {
            "TxnLineID": line_id,
            "ItemRef": {"ListID": item["ListID"], "FullName": item["FullName"]},
            **({"Desc": line["Desc"]} if "Desc" in line else {}),
            **({"Quantity": str(quantity)} if quantity is not None else {}),
            **({"Rate": str(rate)} if rate is not None else {}),
            "Amount": _money(amount),
            **({"ServiceDate": line["ServiceDate"]} if "ServiceDate" in line else {}),
        }

    def _referred(self, known: dict[str, Json], ref: Json, what: str, entity: str) -> Json:
        list_id = str((ref or {}).get("ListID") or "")
        if list_id not in known or known[list_id]["IsActive"] != "true":
            said = f'There is an invalid reference to QuickBooks {what} "{list_id}" in the {entity}.'
            raise Refusal(3140, said)
        return known[list_id]

    def _listed(self, entity: str, request: etree._Element) -> str:
        fields = _fields(request) or {}
        place, iterator_id = request.get("iterator"), request.get("iteratorID", "")
        if place == "Continue":
            if iterator_id not in self._iterators:
                raise Refusal(3120, f'Object "{iterator_id}" specified in the request cannot be found.')
            found = self._iterators.pop(iterator_id)
        else:
            found = list(self._matching(entity, fields))
            iterator_id = f"{{{len(self.requests)}}}"
        if not found and place != "Continue":
            is_named = bool({"TxnID", "RefNumber", "ListID"} & set(fields))
            return _result(f"{entity}Query", "", 500 if is_named else 1, "No such object was found.")
        page = int(fields.get("MaxReturned") or len(found) or 1)
        now, left = found[:page], found[page:]
        attributes = f' retCount="{len(now)}"'
        if place:
            self._iterators[iterator_id] = left
            attributes += f' iteratorRemainingCount="{len(left)}" iteratorID="{iterator_id}"'
        shown = "".join(_xml(f"{entity}Ret", record) for record in map(_shown(fields), now))
        return _result(f"{entity}Query", shown, attributes=attributes)

    def _matching(self, entity: str, fields: Json) -> Iterator[Json]:
        if entity not in DOCUMENTS:
            for record in (self.customers if entity == "Customer" else self.items).values():
                is_wanted = record["ListID"] in _many(fields["ListID"]) if "ListID" in fields else True
                is_shown = record["IsActive"] == "true" or "ListID" in fields or fields.get("ActiveStatus") == "All"
                if is_wanted and is_shown:
                    yield record
            return
        numbers = [number.lower() for number in _many(fields.get("RefNumber"))]
        since = (fields.get("TxnDateRangeFilter") or {}).get("FromTxnDate", "")
        for record in self.documents.values():
            if record["TxnType"] != entity or record["TxnDate"] < since:
                continue
            if "TxnID" in fields and record["TxnID"] not in _many(fields["TxnID"]):
                continue
            if numbers and record.get("RefNumber", "").lower() not in numbers:
                continue
            yield record


def _shown(fields: Json) -> Callable[[Json], Json]:
    """Return how a record is shown: lines come only where they are asked for."""
    with_lines = fields.get("IncludeLineItems") == "true"
    return lambda record: {
        name: value
        for name, value in record.items()
        if name != "TxnType" and (with_lines or not name.endswith(("LineRet", "LineGroupRet")))
    }


def _parsed(text: str) -> etree._Element:
    try:
        root = etree.fromstring(text.encode())
    except etree.XMLSyntaxError as problem:
        raise NotParsed(str(problem)) from None
    wrapper = root[0] if root.tag == "QBXML" and len(root) == 1 else None
    if wrapper is None or wrapper.tag != "QBXMLMsgsRq" or "onError" not in wrapper.attrib:
        raise NotParsed("there is no message set with onError")
    for request in wrapper:
        _check_order(request)
    return wrapper


def _check_order(element: etree._Element) -> None:
    """Refuse what stands where it may not, as a validating parser does."""
    if not len(element):
        return
    allowed = ORDER.get(str(element.tag))
    if allowed is None:
        raise NotParsed(f"{element.tag} has no elements")
    places = [allowed.index(str(child.tag)) if child.tag in allowed else -1 for child in element]
    if -1 in places or places != sorted(places):
        raise NotParsed(f"the elements of {element.tag} are not in order")
    for child in element:
        _check_order(child)


def _fields(element: etree._Element) -> Json:
    if not len(element):
        return element.text or ""
    found: dict[str, Json] = {}
    for child in element:
        name, value = str(child.tag), _fields(child)
        found[name] = [*_many(found[name]), value] if name in found else value
    return found


def _many(value: Json) -> list[Json]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _xml(name: str, value: Json) -> str:
    element = etree.Element(name)
    _fill(element, {k: v for k, v in value.items() if k != "TxnType"})
    return str(etree.tostring(element).decode())


def _fill(element: etree._Element, value: Json) -> None:
    if not isinstance(value, dict):
        element.text = str(value)
        return
    for name, field_value in value.items():
        for one in _many(field_value):
            _fill(etree.SubElement(element, name), one)


def _result(name: str, content: str, code: int = 0, said: str = "Status OK", *, attributes: str = "") -> str:
    element = etree.Element("a", statusMessage=said)
    message = etree.tostring(element).decode().removeprefix("<a ").removesuffix("/>")
    severity = "Info" if code < 500 else "Warn" if code < 1000 else "Error"
    return f'<{name}Rs statusCode="{code}" statusSeverity="{severity}" {message}{attributes}>{content}</{name}Rs>'


def _envelope(content: str, code: int | None, new_id: str = "") -> str:
    attributes = f' newMessageSetID="{new_id}"' if new_id else ""
    attributes += f' messageSetStatusCode="{code}"' if code is not None else ""
    return f'<?xml version="1.0" ?>\n<QBXML><QBXMLMsgsRs{attributes}>{content}</QBXMLMsgsRs></QBXML>'


def _money(amount: Decimal) -> str:
    return str(amount.quantize(Decimal("0.01"), ROUND_HALF_UP))


def _bool(value: bool) -> str:
    return str(value).lower()


class Died(Exception):
    """The Web Connector ended in the middle of a visit."""


@dataclass
class PlannedFaults:
    """Draws what becomes of a request that adds something; questions fail at a tenth of that."""

    seed: int = 0
    shares: Mapping[str, float] = field(default_factory=dict)
    """How often each of `FAULTS` happens."""
    counts: Counter[str] = field(default_factory=Counter)
    """What has happened so far."""
    random: Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)

    def __call__(self, request: str) -> str:
        """Draw."""
        drawn = self.random.random() * (1 if "AddRq" in request else 10)
        for fault, share in self.shares.items():
            if drawn < share:
                self.counts[fault] += 1
                return fault
            drawn -= share
        return ""


@dataclass
class WebConnector:
    """Calls our service as Intuit's program does: `service` has the operations of its description as methods."""

    company: CompanyFile
    service: Any
    name: str
    password: str
    fault: Fault = lambda _: ""
    slow_seconds: float = 0.1
    after: Callable[[], None] = lambda: None
    """Called whenever QuickBooks has carried a request out, before anybody hears of it."""
    opened: str = ""
    """The company file that is open, where it is another."""
    percents: list[int] = field(default_factory=list)

    def visit(self) -> str:
        """Come once and return what the user is shown, or why nothing was done. Raises `Died`."""
        self.service.serverVersion()
        if told := self.service.clientVersion(strVersion="2.3.0.207"):
            return str(told)
        ticket, meant = self.service.authenticate(strUserName=self.name, strPassword=self.password)
        if meant in ("none", "nvu"):
            return str(meant)
        self.company.begin_session()
        while request := self._next(ticket):
            percent = self._deliver(ticket, request)
            self.percents.append(percent)
            if percent < 0:
                self.service.getLastError(ticket=ticket)
            if not 0 <= percent < 100:
                break
        return str(self.service.closeConnection(ticket=ticket))

    def _next(self, ticket: str) -> str:
        major, minor = self.company.version
        return str(
            self.service.sendRequestXML(
                ticket=ticket, strHCPResponse="", strCompanyFileName=self.opened or self.company.path,
                qbXMLCountry="US", qbXMLMajorVers=major, qbXMLMinorVers=minor,
            )
            or ""
        )  # fmt: skip

    def _deliver(self, ticket: str, request: str) -> int:
        fault = self.fault(request)
        if fault == "dies before":
            raise Died
        if fault == "fails before":
            return self._receive(ticket, "", NO_ANSWER, "QuickBooks did not answer")
        if fault == "slow":
            time.sleep(self.slow_seconds)
        try:
            answer = self.company.execute(request)
        except NotParsed as problem:
            return self._receive(ticket, "", BAD_XML, f"QuickBooks found an error when parsing the text: {problem}")
        self.after()
        if fault == "dies after":
            raise Died
        if fault == "fails after":
            return self._receive(ticket, "", NO_ANSWER, "QuickBooks did not answer")
        if fault == "garbles":
            answer = answer[: len(answer) // 2]
        if fault == "says no status":
            answer = answer.replace("statusCode=", "wasCode=").replace("messageSetStatusCode=", "wasSetCode=")
        return self._receive(ticket, answer, "", "")

    def _receive(self, ticket: str, answer: str, hresult: str, message: str) -> int:
        return int(self.service.receiveResponseXML(ticket=ticket, response=answer, hresult=hresult, message=message))


def keep_visiting(company: CompanyFile, address: str, name: str, password: str) -> None:
    """Come again and again, as the Web Connector does once its user has ticked Auto-Run; nobody there is no matter."""
    import requests
    import zeep

    service = None
    while True:
        try:
            service = service or zeep.Client(f"{address}?wsdl").service  # type: ignore[no-untyped-call]
            WebConnector(company, service, name, password).visit()
        except (requests.ConnectionError, zeep.exceptions.Fault):
            service = None
        time.sleep(PAUSE_SECONDS)


PAUSE_SECONDS = 2.0
"""Between two visits."""
