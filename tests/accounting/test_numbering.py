"""QuickBooks companies that number invoices themselves: ours are found by the mark in their note."""

from typing import Any

import httpx
import pytest

from morton_pipeline.accounting.errors import RunStopped


@pytest.fixture
def unnumbered(shop: Any) -> Any:
    """A company that numbers invoices itself, and a connection that says so."""
    path = shop.book.root / "connections.yaml"
    path.write_text(
        path.read_text("utf-8").replace("backoff_seconds: 0", "backoff_seconds: 0\n    custom_numbers: false")
    )
    shop.company.has_custom_numbers = False
    return shop


def test_quickbooks_numbers_it_and_it_is_found_by_our_mark(unnumbered: Any) -> None:
    shop = unnumbered
    shop.approve()
    (row,) = shop.post()
    (made,) = shop.made()
    assert b"DocNumber" not in shop.wire.posts()[0].content
    assert (row["state"], row["accounting_id"]) == ("posted", made["Id"])
    assert made["DocNumber"] != row["reference"]
    assert made["PrivateNote"].startswith(f"Morton {row['reference']}: ")
    assert (shop.post(), shop.verify()) == ([], [])


@pytest.mark.parametrize("is_made", [True, False])
def test_case_72_an_unclear_outcome_is_settled_by_the_mark(unnumbered: Any, is_made: bool) -> None:
    shop = unnumbered
    shop.approve()
    shop.wire.faults["POST"] = [shop.fails(httpx.ReadTimeout, after=is_made)]
    assert shop.post()[0]["state"] == "uncertain"
    assert shop.post()[0]["state"] == "posted"
    assert len(shop.made()) == 1


def test_a_company_that_leaves_numbers_to_us_is_told_apart_at_the_start(unnumbered: Any) -> None:
    unnumbered.company.has_custom_numbers = True
    unnumbered.approve()
    with pytest.raises(RunStopped, match="leaves numbers to us"):
        unnumbered.post()
    assert unnumbered.states() == []
