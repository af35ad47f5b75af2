"""What must hold of price tiers: they are a tiered contract's, start at 1 and follow one method."""

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise

from morton_pipeline.errors import guess
from morton_pipeline.seeds.problem import Problem
from morton_pipeline.seeds.reading import Seeds
from morton_pipeline.seeds.values import as_number

_FILE = "price_tiers.csv"


def problems(seeds: Seeds) -> Iterator[Problem]:
    """Yield tiers of no tiered contract, those that do not follow each other, and contracts without any."""
    models = {row["contract_id"]: row["billing_model"].lower() for _, row in seeds.rows["contracts"]}
    tiers: dict[str, list[tuple[Decimal, int, str]]] = defaultdict(list)
    for line, row in seeds.rows["price_tiers"]:
        contract = row["contract_id"]
        if contract and models.get(contract) != "tiered":
            known = [name for name, model in models.items() if model == "tiered"]
            message = f"{contract!r} is no contract in contracts.csv with the model tiered{guess(contract, known)}"
            yield Problem(_FILE, line, "contract_id", message)
        elif contract and (start := as_number(row["from_quantity"])) is not None:
            tiers[contract].append((start, line, row["method"].lower()))
    for found in tiers.values():
        found.sort()
        if found[0][0] != 1:
            yield Problem(_FILE, found[0][1], "from_quantity", "the first tier of a contract starts at 1")
        for (start, earlier, method), (other, line, other_method) in pairwise(found):
            if start == other:
                yield Problem(_FILE, line, "from_quantity", f"{start} stands in row {earlier} already")
            if method != other_method:
                message = f"is {other_method}, and row {earlier} of the same contract says {method}; choose one"
                yield Problem(_FILE, line, "method", message)
    for line, row in seeds.rows["contracts"]:
        if row["billing_model"].lower() == "tiered" and row["contract_id"] not in tiers:
            message = f"is tiered, and price_tiers.csv has no row for {row['contract_id']}"
            yield Problem("contracts.csv", line, "billing_model", message)
