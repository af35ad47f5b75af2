"""Every side effect of posting stands between two named places at which a test can kill the process."""

import ast
import inspect
from pathlib import Path

import pytest

import morton_pipeline
from morton_pipeline.accounting.adapter import Adapter
from tests.accounting.chaos_processes import FAILPOINTS
from tests.accounting.test_model import PLACES
from tests.accounting.test_quickbooks_desktop import ASKED_FOR

PACKAGE = Path(morton_pipeline.__file__).parent
QUESTIONS = {"check", "close", "expect", "find", "is_to_release", "list_since", "read_back", "render"}
"""What an adapter does without leaving a trace; whatever else it can do is a side effect."""
EFFECTS = {"invoices.add", "invoices.step"} | {
    f"self.target.{name}" for name, member in vars(Adapter).items() if inspect.isfunction(member) and name not in QUESTIONS
    and not name.startswith("_")
}  # fmt: skip
MODULES = [*sorted((PACKAGE / "accounting").glob("*.py")), *sorted((PACKAGE / "connector").glob("*.py"))]

MONEY = [
    *sorted((PACKAGE / "accounting").rglob("*.py")),
    PACKAGE / "rates.py",
    *(
        PACKAGE / "ledger" / f"{name}.py"
        for name in ("canonical", "decisions", "invoices", "lines", "snapshot", "tables")
    ),
]


def test_what_an_adapter_does_is_known() -> None:
    assert {"self.target.create", "self.target.release"} <= EFFECTS


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_side_effect_without_a_failpoint_fails_here(path: Path) -> None:
    bare = [
        f"{path.name} line {call.lineno}: {ast.unparse(call.func)}"
        for call in _outside(ast.parse(path.read_text("utf-8")))
        if ast.unparse(call.func) in EFFECTS
    ]
    assert bare == [], "Surround it with `side_effect(NAME)`: " + "; ".join(bare)


def test_the_machine_has_side_effects_and_they_are_seen() -> None:
    tree = ast.parse((PACKAGE / "accounting/machine.py").read_text("utf-8"))
    called = {ast.unparse(call.func) for call in ast.walk(tree) if isinstance(call, ast.Call)}
    assert called & EFFECTS == EFFECTS
    bare = ast.parse("def f(self):\n    self.target.create('payload')")
    assert [ast.unparse(call.func) for call in _outside(bare)] == ["self.target.create"]


def test_every_named_place_is_one_a_test_kills_or_crashes_at() -> None:
    places = {
        ast.unparse(item.context_expr.args[0]).strip("f'")
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.With)
        for item in node.items
        if isinstance(item.context_expr, ast.Call) and ast.unparse(item.context_expr.func) == "side_effect"
    }
    tried = {place.partition(" ")[2] for place in (*FAILPOINTS, *PLACES)} | set(ASKED_FOR)
    families = {name.partition(" ")[0] for name in tried if name.startswith(("step ", "remark "))}
    untried = [p for p in places if p not in tried and p.partition(" {")[0] not in families]
    assert untried == [], f"no test dies at {', '.join(untried)}"


def _outside(node: ast.AST) -> list[ast.Call]:
    """Calls that stand in no `with side_effect(…)`."""
    if isinstance(node, ast.With) and any("side_effect(" in ast.unparse(item) for item in node.items):
        return []
    below = [call for child in ast.iter_child_nodes(node) for call in _outside(child)]
    return [node, *below] if isinstance(node, ast.Call) else below


@pytest.mark.parametrize("path", MONEY, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_float_is_in_the_path_of_money(path: Path) -> None:
    """Seconds and shares may be floats; amounts, prices and quantities are decimals from end to end."""
    tree = ast.parse(path.read_text("utf-8"))
    found = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree)
        if (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.Call) and ast.unparse(node.func) in ("float", "round"))
    ]
    assert [f for f in found if not any(word in f for word in ("timeout", "backoff", "seconds", "pause"))] == []
