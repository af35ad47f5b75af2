"""The demo book: readable by Morton, complete, and the same every time."""

import csv
from decimal import Decimal
from pathlib import Path

from morton_pipeline.book import open_book
from morton_pipeline.simulator.seeds import HEADERS, write_book
from morton_pipeline.simulator.world import World
from morton_pipeline.vendors import VENDORS

URL = "http://127.0.0.1:8765"


def test_morton_opens_the_book(world: World, tmp_path: Path) -> None:
    book = open_book(write_book(world, tmp_path / "book", URL))
    assert [c.id for c in book.connections] == [
        "ninjaone", "m365", "huntress", "quickbooks", "xero", "sage", "desktop", *world.tools
    ]  # fmt: skip
    assert {c.vendor for c in book.connections} == set(VENDORS), "the demo uses every vendor there is"
    assert book.accounting is not None
    assert book.accounting.vendor == "quickbooks_online"
    assert book.seeds == tmp_path / "book" / "seeds"
    assert book.limits.quiet_period_seconds < 10
    for connection in book.connections:
        assert all(connection.secret_values().values()), connection.id
    assert len(book.connection("m365").tenants) == len(world.tenants)


def read(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_seed_has_its_columns_and_the_names_survive(world: World, tmp_path: Path) -> None:
    seeds = write_book(world, tmp_path, URL) / "seeds"
    for name, header in HEADERS.items():
        first = (seeds / f"{name}.csv").read_text("utf-8").splitlines()[0]
        assert first == ",".join(header)
    assert [r["client_name"] for r in read(seeds, "clients")] == [c.name for c in world.agreements.clients]
    for name in ("price_tiers", "bundles", "sku_includes"):
        assert read(seeds, name) == []


def test_the_seeds_point_at_each_other(world: World, tmp_path: Path) -> None:
    seeds = write_book(world, tmp_path, URL) / "seeds"
    clients = {r["client_id"] for r in read(seeds, "clients")}
    services = {r["service_id"] for r in read(seeds, "services")}
    contracts = read(seeds, "contracts")
    assert len({r["contract_id"] for r in contracts}) == len(contracts)
    assert {r["client_id"] for r in contracts} <= clients
    assert {r["service_id"] for r in contracts} <= services
    assert {r["service_id"] for r in read(seeds, "service_mappings")} <= services
    assert {r["client_id"] for r in read(seeds, "company_mappings")} <= clients
    assert {r["billing_model"] for r in contracts} == {"per_unit", "minimum", "included", "flat"}
    assert all(Decimal(r["unit_price"]) > 0 for r in contracts)
    billed = [r["accounting_customer_id"] for r in read(seeds, "clients") if r["status"] != "internal"]
    assert len(set(billed)) == len(billed)


def test_writing_twice_writes_the_same_bytes(world: World, tmp_path: Path) -> None:
    def written() -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file()}

    write_book(world, tmp_path, URL)
    before = written()
    write_book(world, tmp_path, URL)
    assert written() == before
