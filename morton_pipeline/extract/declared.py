"""Reading what connections.yaml declares of a tool, word by word: every mistake says its line and what would fit.

Belongs here: the words that `rest` and `files` share. Does not: the words only one of them knows (`vendors/rest`,
`vendors/files`), or those that are names of functions (`by_name`). Whatever stands in YAML is a plain value.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from morton_pipeline.book import Connection
from morton_pipeline.errors import BadInput, guess
from morton_pipeline.extract.usage import COMPANY, JOINED, WORDS, Shape
from morton_pipeline.extract.vendor import CATEGORIES, UNITS, Rule

Block = Mapping[str, Any]
"""A mapping of connections.yaml; the loader's own kind knows the line of each of its words."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
"""What a tool and its connection may be called: both become names of files and of vendors in the seeds."""
_REQUIRED: Any = object()


class Mistake(BadInput):
    """A word that does not fit. `line` is where it stands in connections.yaml, where that is known."""

    def __init__(self, message: str, block: Any = None, word: str = "") -> None:
        super().__init__(message)
        line = getattr(block, "lines", {}).get(word) or getattr(block, "line", None)
        self.line: int | None = line


def listed(words: Collection[str]) -> str:
    """Write words for a sentence, in the order they are given."""
    return ", ".join(words) or "none"


def only(block: Block, allowed: Sequence[str], where: str) -> None:
    """Refuse a word that means nothing here."""
    for word in block:
        if word not in allowed:
            said = f"unknown word {word!r} in {where}{guess(str(word), allowed)}. Allowed here: {listed(allowed)}."
            raise Mistake(said, block, word)


def text(block: Block, word: str, where: str, default: Any = _REQUIRED) -> Any:
    """Return a word's text."""
    if word not in block:
        if default is _REQUIRED:
            raise Mistake(f"{where} needs `{word}:`.", block)
        return default
    value = block[word]
    if not isinstance(value, str):
        raise Mistake(f"{where}: `{word}:` must be text, quoted where it looks like something else; found {value!r}.",
                      block, word)  # fmt: skip
    return value


def one_of(block: Block, word: str, where: str, allowed: Sequence[str], default: Any = _REQUIRED) -> Any:
    """Return a word's text, which must be one of a few."""
    value = text(block, word, where, default)
    if word in block and value not in allowed:
        raise Mistake(f"{where}: `{word}: {value}` is none of {listed(allowed)}{guess(value, allowed)}.", block, word)
    return value


def number(
    block: Block, word: str, where: str, default: float | None, *, least: float = 0, is_whole: bool = False
) -> Any:
    """Return a word's number."""
    value = block.get(word, default)
    fits = isinstance(value, int if is_whole else int | float) and not isinstance(value, bool) and value >= least
    if not fits:
        kind = "a whole number" if is_whole else "a number"
        raise Mistake(f"{where}: `{word}:` must be {kind} of at least {least:g}; found {value!r}.", block, word)
    return value


def block_of(block: Block, word: str, where: str) -> Block:
    """Return the block under a word."""
    value = block.get(word)
    if not isinstance(value, Mapping):
        found = "nothing" if value is None else repr(value)
        raise Mistake(f"{where}: `{word}:` must be a block of words; found {found}.", block, word)
    return value


def check_names(connection: Connection) -> None:
    """Check what the connection is called, as a connection and as a tool, and what sort of tool it is."""
    where = f"connection {connection.id}"
    for word, value in (("id", connection.id), ("tool", text(connection.settings, "tool", where, connection.tool))):
        if not NAME.fullmatch(value):
            said = f"{where}: `{word}:` may hold letters, digits, points, - and _ and begins with one of the first two"
            raise Mistake(f"{said}; found {value!r}.", connection.settings, word)
    text(connection.settings, "title", where, "")
    one_of(connection.settings, "category", where, CATEGORIES, "other")


def shape_of(connection: Connection, block: Block, where: str, *, names: Callable[[Any], bool]) -> Shape:
    """Read `columns:` and what stands for every record: its company, its unit. `names` tells a name of a field."""
    declared = block_of(block, "columns", where)
    inside = f"columns of {where}"
    only(declared, WORDS, inside)
    fixed: dict[str, Any] = {} if "quantity" in declared else {"quantity": "1"}
    fixed |= company_of(connection)
    for word in COMPANY:
        if word in declared and fixed.get("company_id"):
            said = f"{inside}: `{word}:` cannot stand beside `company:`, which says whose all records are"
            raise Mistake(f"{said}; leave one of them out.", declared, word)
    if not fixed.get("company_id") and "company_id" not in declared:
        said = f"{inside}: say whose a record is: `company_id:`, or `company: {{id: …, name: …}}` for the connection"
        raise Mistake(f"{said}.", block, "columns")
    if "record_id" not in declared:
        raise Mistake(f"{inside}: `record_id:` is missing: what names a record for life.", block, "columns")
    if "unit" in block:
        if "unit" in declared:
            raise Mistake(f"{where}: `unit:` stands there and among the columns; leave one out.", block, "unit")
        fixed["unit"] = one_of(block, "unit", where, [u for u in UNITS if u != "hour"])
    found = {w: _names(declared, w, inside, names) for w in declared if w != "attributes"}
    attributes = block_of(declared, "attributes", inside) if "attributes" in declared else {}
    further = {name: _names(attributes, name, f"attributes of {where}", names)[0] for name in attributes}
    return Shape(found, further, fixed)


def _names(block: Block, word: str, where: str, is_name: Callable[[Any], bool]) -> Sequence[str]:
    value = block[word]
    several = value if isinstance(value, list) and word in JOINED and value else [value]
    if all(isinstance(name, str) and is_name(name) for name in several):
        return tuple(several)
    fitting = "the name of a field, or a list of names" if word in JOINED else "the name of a field"
    raise Mistake(f"{where}: `{word}:` must be {fitting}; found {value!r}.", block, word)


def company_of(connection: Connection) -> dict[str, str]:
    """Return the company that a whole connection belongs to, if it is one company's."""
    if "company" not in connection.settings:
        return {}
    block = block_of(connection.settings, "company", f"connection {connection.id}")
    only(block, ("id", "name"), "company")
    company_id = text(block, "id", "company")
    return {"company_id": company_id, "company_name": text(block, "name", "company", company_id)}


def rules_of(block: Block, shape: Shape, where: str) -> tuple[Rule, ...]:
    """Read the rules: what is listed and never billed."""
    given = block.get("rules", [])
    if not isinstance(given, list):
        raise Mistake(f"{where}: `rules:` must be a list of blocks; found {given!r}.", block, "rules")
    words = ("field", "pattern", "name", "reason")
    looked_at = [*(w for w in WORDS if w in (*shape.names, *shape.fixed) and w != "quantity"),
                 *(("attributes",) if shape.attributes else ())]  # fmt: skip
    found: list[Rule] = []
    for number_, rule in enumerate(given, start=1):
        inside = f"rule {number_} of {where}"
        if not isinstance(rule, Mapping):
            raise Mistake(f"{inside} must be a block of {listed(words)}; found {rule!r}.", block, "rules")
        only(rule, words, inside)
        values = [text(rule, word, inside) for word in words]
        if empty := [word for word, value in zip(words, values, strict=True) if not value.strip()]:
            raise Mistake(f"{inside}: `{empty[0]}:` is empty.", rule, empty[0])
        one_of(rule, "field", inside, looked_at)
        found.append(Rule(*values))
    for number_, one in enumerate(found, start=1):
        if (one.field, one.pattern) in [(r.field, r.pattern) for r in found[: number_ - 1]]:
            said = f"rule {number_} of {where}: {one.field} {one.pattern!r} has a rule already; a record has one reason"
            raise Mistake(f"{said}.", given[number_ - 1])
    return tuple(found)
