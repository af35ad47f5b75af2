"""qbXML, the messages QuickBooks Desktop understands: written and read as nested mappings, never as text of our own.

Belongs here: the envelope, safe parsing, and what a status code means for a question. Does not: what is asked
(`vendors/quickbooks_desktop.py`, `accounting/quickbooks_desktop.py`), or how it gets there (`connector/`).

A request is a mapping whose keys stand in the order QuickBooks wants them, which matters; `@` begins an attribute, and
a list is an element that is repeated. An answer reads back the same way: what was repeated is a list, all else text.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lxml import etree

from morton_pipeline.errors import MortonError

VERSION = "13.0"
"""The version of the messages: QuickBooks 2014 and later."""
SIZE_CAP = 9 * 2**20
"""Bytes of one answer, below what the parser takes for one text; a larger one is a mistake or an attack."""
ID_LENGTH = 24
"""Characters of a message set's id."""
ABSENT = (1, 500)
"""Nothing fits the filter; nothing has that key. Both are an answer: there is none."""

Fields = Mapping[str, Any]

_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")


class BadXml(MortonError):
    """A text is no XML we read: broken, too large, or with a document type."""


class Unanswered(MortonError):
    """A session ended before QuickBooks' answer came."""

    def __init__(self, why: str, *, was_handed_over: bool) -> None:
        super().__init__(why)
        self.was_handed_over = was_handed_over
        """Whether the Web Connector had taken the request: QuickBooks may have carried it out."""


def parse(text: str | bytes) -> etree._Element:
    """Parse XML that somebody else wrote: no entities, no document type, no network, no end of size."""
    content = _DECLARATION.sub("", text).encode() if isinstance(text, str) else text
    if len(content) > SIZE_CAP:
        raise BadXml(f"the message is larger than {SIZE_CAP // 2**20} MiB.")
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise BadXml("the message declares a document type.")
    parser = etree.XMLParser(
        resolve_entities=False, load_dtd=False, dtd_validation=False, no_network=True, huge_tree=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as problem:
        raise BadXml(f"the message is not XML ({problem}).") from None
    # Another encoding hides the words above from a look at the bytes.
    if root.getroottree().docinfo.internalDTD is not None:
        raise BadXml("the message declares a document type.")
    return root


def message_set(requests: Sequence[tuple[str, Fields]] = (), *, new_id: str = "", old_id: str = "") -> str:
    """Write a message set. With `new_id` QuickBooks keeps what became of it; `old_id` alone lets go of that again.

    Both the same and no request asks what became of it, and carries nothing out.
    """
    for given in (new_id, old_id):
        if len(given) > ID_LENGTH:
            raise ValueError(f"a message set's id has at most {ID_LENGTH} characters: {given}")
    root = etree.Element("QBXML")
    attributes = {"onError": "stopOnError"}
    attributes |= {"newMessageSetID": new_id} if new_id else {}
    attributes |= {"oldMessageSetID": old_id} if old_id else {}
    wrapper = etree.SubElement(root, "QBXMLMsgsRq", attributes)
    for name, fields in requests:
        _write(etree.SubElement(wrapper, name), fields)
    # Only ASCII: what stands between us and QuickBooks may think in another code page.
    body = etree.tostring(root, encoding="us-ascii").decode()
    return f'<?xml version="1.0" encoding="utf-8"?>\n<?qbxml version="{VERSION}"?>\n{body}'


def _write(element: etree._Element, value: Any) -> None:
    if not isinstance(value, Mapping):
        element.text = str(value).lower() if isinstance(value, bool) else str(value)
        return
    for name, field in value.items():
        if name.startswith("@"):
            element.set(name[1:], str(field))
            continue
        for one in field if isinstance(field, list) else [field]:
            _write(etree.SubElement(element, name), one)


def answers(text: str) -> dict[str, Any]:
    """Read an answer: the attributes of the message set and, by its name, the answer to each request.

    Raises `BadXml` where it is no answer of QuickBooks.
    """
    root = parse(text)
    wrapper = root.find("QBXMLMsgsRs") if root.tag == "QBXML" else None
    if wrapper is None:
        raise BadXml("the message is no answer of QuickBooks.")
    found = _read(wrapper)
    return found if isinstance(found, dict) else {}


def _read(element: etree._Element) -> Any:
    if not len(element) and not element.attrib:
        return element.text or ""
    found: dict[str, Any] = {f"@{name}": str(value) for name, value in element.attrib.items()}
    for child in element:
        name, value = str(child.tag), _read(child)
        if name in found:
            known = found[name]
            found[name] = [*known, value] if isinstance(known, list) else [known, value]
        else:
            found[name] = value
    return found


def many(value: Any) -> list[Any]:
    """Return what may be absent, there once, or repeated, as a list."""
    return [] if value in (None, "") else value if isinstance(value, list) else [value]


def status(answer: Any) -> int | None:
    """Return an answer's status code; nothing where it has none, which tells nothing of what became of the request."""
    code = answer.get("@statusCode") if isinstance(answer, Mapping) else None
    return int(code) if code is not None and re.fullmatch(r"\d+", code) else None


def words(answer: Fields) -> str:
    """Return QuickBooks' own words and its code."""
    return f"{answer.get('@statusMessage') or 'no words'} ({answer.get('@statusCode')})"
