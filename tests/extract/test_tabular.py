"""CSV reports: every text in every dialect comes back unchanged or is refused, and nothing is read in two ways."""

import re
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from morton_pipeline.extract.errors import Unreadable
from morton_pipeline.extract.figures import day_reader, number_of
from morton_pipeline.extract.tabular import DELIMITERS, Layout, Table, read_csv

NEEDED = ["Key", "Value"]
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252", "latin-1")
MARKED = ("utf-8", "utf-8-sig", "utf-16", "utf-32")
"""Those a file says itself, or that are taken for granted."""
cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        "=1+1",
        "+4 Fitness",
        "@x",
        "-",
        '"',
        '""',
        ",",
        ";",
        "\t",
        "|",
        "\r",
        "\n",
        "\r\n",
        "a,b;c",
        " x ",
        "1,234",
        "sep=;",
    ]
)
rows = st.lists(st.tuples(cells, cells), max_size=6)


def written(table: list[tuple[str, str]], delimiter: str = ",", end: str = "\n", quotes_all: bool = False) -> str:
    """Write a report; what could be taken for the end of a cell or a row is quoted."""
    special = re.compile(rf'[{re.escape(delimiter)}"\r\n]')

    def cell(text: str) -> str:
        return f'"{text.replace(chr(34), chr(34) * 2)}"' if quotes_all or special.search(text) else text

    return "".join(delimiter.join(map(cell, row)) + end for row in [("Key", "Value"), *table])


def encoded(text: str, encoding: str) -> bytes | None:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return None


def values(table: Table) -> list[tuple[str, str]]:
    key, value = (table.header.index(name) for name in NEEDED)
    return [(str(row[key]), str(row[value])) for _, row in table.rows]


def filled(table: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Rows that hold something; a blank one is none."""
    return [row for row in table if any(cell.strip() for cell in row)]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    table=rows,
    delimiter=st.sampled_from(list(DELIMITERS)),
    encoding=st.sampled_from(ENCODINGS),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    quotes_all=st.booleans(),
    is_declared=st.booleans(),
)
def test_what_was_written_comes_back_unchanged_or_is_refused(
    table: list[tuple[str, str]], delimiter: str, encoding: str, end: str, quotes_all: bool, is_declared: bool
) -> None:
    content = encoded(written(table, delimiter, end, quotes_all), encoding)
    if content is None:
        return
    layout = Layout(
        encoding="" if encoding in MARKED and not is_declared else encoding,
        delimiter=delimiter if is_declared else "",
    )
    try:
        found = read_csv(content, layout, NEEDED)
    except Unreadable:
        return
    assert values(found) == filled(table)


@settings(max_examples=200, deadline=None)
@given(table=rows, delimiter=st.sampled_from(list(DELIMITERS)))
def test_what_is_declared_is_never_refused(table: list[tuple[str, str]], delimiter: str) -> None:
    if any("\0" in cell for row in table for cell in row):
        return
    content = written(table, delimiter, quotes_all=True).encode("utf-8")
    assert values(read_csv(content, Layout("utf-8", delimiter), NEEDED)) == filled(table)


@settings(max_examples=300, deadline=None)
@given(content=st.binary(max_size=200))
def test_whatever_arrives_is_read_or_refused_in_words(content: bytes) -> None:
    # Anything else that is raised fails the test.
    with suppress(Unreadable):
        read_csv(b"Key,Value\n" + content, Layout(), NEEDED)


@pytest.mark.parametrize("delimiter", DELIMITERS)
@pytest.mark.parametrize("encoding", MARKED)
def test_a_plain_report_needs_nothing_declared(delimiter: str, encoding: str) -> None:
    content = written([("k1", "Zoë"), ("k2", "+4 Fitness")], delimiter).encode(encoding)
    assert values(read_csv(content, Layout(), NEEDED)) == [("k1", "Zoë"), ("k2", "+4 Fitness")]


def test_formulas_are_texts() -> None:
    table = [("k1", "=1+1"), ("k2", "+4 Fitness"), ("k3", "@x"), ("k4", '=HYPERLINK("x")')]
    assert values(read_csv(written(table).encode(), Layout(), NEEDED)) == table


def test_rows_are_numbered_as_a_spreadsheet_does() -> None:
    content = b'Usage of November\n\nKey,Value\nk1,"two\nlines"\n,\nk2,x\n'
    found = read_csv(content, Layout(header_row=3), NEEDED)
    assert [number for number, _ in found.rows] == [4, 6]


def test_the_line_with_which_excel_says_its_delimiter_is_no_row() -> None:
    content = b"sep=;\r\nKey;Value\r\nk1;a,b\r\n"
    found = read_csv(content, Layout(), NEEDED)
    assert values(found) == [("k1", "a,b")]
    assert [number for number, _ in found.rows] == [2]


REFUSED = {
    "empty": (b"", Layout(), "it is empty."),
    "blank": (b" \n\n", Layout(), "it is empty."),
    "mark-alone": (b"\xef\xbb\xbf", Layout(), "it is empty."),
    "latin": ("Key,Value\nk1,Zoë\n".encode("cp1252"), Layout(), r"line 2 is not utf-8 text.*`encoding: cp1252`"),
    "wrong": ("Key,Value\nk1,Zoë\n".encode("latin-1"), Layout(encoding="utf-8"), r"line 2 is not utf-8 text; save it as CSV UTF-8\.$"),
    "half": ("Key,Value".encode("utf-16")[:-1], Layout(), "is not utf-16 text"),
    "contradiction": ("Key,Value".encode("utf-8-sig"), Layout(encoding="cp1252"), "its first bytes say utf-8"),
    "nul": (b"Key,Value\nk1,\0\n", Layout(), "NUL"),
    "utf-16-unmarked": ("Key,Value\n".encode("utf-16-le"), Layout(), "NUL|not utf-8"),
    "missing": (b"Key;Valeu\n", Layout(), r"row 1 has no column 'Value' \(did you mean 'Valeu'\?\); it has Key, Valeu\."),
    "missing-all": (b"a,b\n", Layout(), "row 1 has no column 'Key'"),
    "twice": (b"Key,Value,Value\n", Layout(), "row 1 has the column 'Value' twice"),
    "short": (b"Key,Value\nk1\n", Layout(), "row 2 has 1 cells, and the header in row 1 has 2"),
    "long": (b"Key,Value\nk1,a,b\n", Layout(), "row 2 has 3 cells"),
    "quote": (b'Key,Value\nk1,"a\n', Layout(), "row 2 is not CSV delimited by commas"),
    "quoted-badly": (b'Key,Value\nk1,"a"b\n', Layout(), "row 2 is not CSV delimited by commas"),
    "header-row": (b"Key,Value\nk1,a\n", Layout(header_row=9), "row 9 has no column 'Key'.*it has nothing"),
    "declared-wrong": (b"Key;Value\n", Layout(delimiter=","), "row 1 has no column 'Key', 'Value'.*it has Key;Value"),
    "huge-cell": (b"Key,Value\nk1," + b"x" * 200_000, Layout(), "field larger than field limit"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "layout", "said"), REFUSED.values(), ids=REFUSED)
def test_a_report_that_cannot_be_read_says_why(content: bytes, layout: Layout, said: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_csv(content, layout, NEEDED)
    assert re.search(said, str(caught.value)), caught.value


def test_a_report_that_reads_in_two_ways_is_refused() -> None:
    content = b"Key,a;Key\nk1,x;k2\n"
    with pytest.raises(Unreadable, match="reads in different ways with different delimiters"):
        read_csv(content, Layout(), ["Key"])
    assert read_csv(content, Layout(delimiter=";"), ["Key"]).rows[0][1] == ["k1,x", "k2"]


def test_one_column_reads_the_same_with_any_delimiter() -> None:
    assert [row for _, row in read_csv(b"Key\nk1\nk2\n", Layout(), ["Key"]).rows] == [["k1"], ["k2"]]


@pytest.mark.parametrize(
    ("text", "mark", "number"),
    [
        ("12", "", "12"), ("0012", "", "12"), ("+4", "", "4"), ("1,5", "", "1.5"), ("1.5", "", "1.5"), ("1234,567", "", "1234.567"),
        ("1.234,5", "", "1234.5"), ("1,234.5", "", "1234.5"), ("1,234,567", "", "1234567"), ("0,234", "", "0.234"),
        ("1 234", "", "1234"), ("1\u202f234,5", "", "1234.5"), ("1’234", "", "1234"), ("1,234", ",", "1.234"), ("1,234", ".", "1234"),
        ("1.234", ",", "1234"), ("1.234", ".", "1.234"), ("1.234,00", ",", "1234.00"), (" 7 ", "", "7"),
    ],
)  # fmt: skip
def test_a_number_that_reads_in_one_way_is_read(text: str, mark: str, number: str) -> None:
    assert format(number_of(text, mark)[0], "f") == number


@pytest.mark.parametrize(
    ("text", "mark", "said"),
    [
        ("1,234", "", 'could be 1234 or 1.234; declare the decimal mark: `decimal: ","`'),
        ("1.234", "", "could be 1.234 or 1234"),
        ("1,5", ".", 'is not a number with `decimal: "."`'),
        ("1.5", ",", 'is not a number with `decimal: ","`'),
        ("0.234", ",", "is not a number"),
        ("1,23,4", "", "is not a number"), ("1e5", "", "is not a number"), ("1,23E+05", "", "is not a number"),
        ("NaN", "", "is not a number"), ("inf", "", "is not a number"), ("٣", "", "is not a number"), ("12 €", "", "is not a number"),
        ("12%", "", "is not a number"), ("(5)", "", "is not a number"), ("1_000", "", "is not a number"), (",5", "", "is not a number"),
        ("1 234 5", "", "is not a number"), ("-3", "", "is below zero"),
    ],
)  # fmt: skip
def test_a_number_that_reads_in_two_ways_or_none_is_refused(text: str, mark: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        number_of(text, mark)


@settings(max_examples=300, deadline=None)
@given(
    whole=st.integers(0, 10**12),
    decimals=st.integers(0, 10**6),
    places=st.integers(0, 6),
    mark=st.sampled_from([".", ","]),
    separator=st.sampled_from(["", "other", " ", "\u00a0", "'"]),
)
def test_a_number_written_with_a_declared_mark_reads_as_it_was(
    whole: int, decimals: int, places: int, mark: str, separator: str
) -> None:
    tail = f"{decimals:06d}"[:places]
    group = {"other": "," if mark == "." else "."}.get(separator, separator)
    text = f"{whole:,}".replace(",", group) + (mark + tail if tail else "")
    plain = f"{whole}" + (f".{tail}" if tail else "")
    assert format(number_of(text, mark)[0], "f") == plain
    with suppress(ValueError):
        assert format(number_of(text)[0], "f") == plain


@pytest.mark.parametrize(
    ("text", "pattern", "day"),
    [
        ("2026-11-30", "", "2026-11-30"),
        ("2026-11-30T22:00:00", "", "2026-11-30"),
        ("2026-11-30", "%d.%m.%Y", "2026-11-30"),
        ("30.11.2026", "%d.%m.%Y", "2026-11-30"),
        ("01/02/2026", "%m/%d/%Y", "2026-01-02"),
        ("12101026", "%d%m%Y", "1026-10-12"),
    ],
)
def test_a_day_is_read_as_it_is_declared(text: str, pattern: str, day: str) -> None:
    assert day_reader(pattern)(text) == day


@pytest.mark.parametrize(
    ("text", "pattern", "said"),
    [
        ("30.11.2026", "", "declare how days are written: `date:`"),
        ("20261130", "", "declare how days are written"),
        ("11/30/2026", "%d/%m/%Y", "as `date: %d/%m/%Y` says"),
        ("2026-02-30", "", "not a day of the calendar"),
    ],
)
def test_a_day_written_otherwise_is_refused(text: str, pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        day_reader(pattern)(text)
