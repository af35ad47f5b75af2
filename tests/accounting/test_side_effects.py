"""Every side effect of posting stands between two named places at which a test can kill the process."""

import ast
from pathlib import Path

import pytest

import morton_pipeline

PACKAGE = Path(morton_pipeline.__file__).parent
EFFECTS = {
    "accounting/machine.py": {"invoices.add", "invoices.step", "self.target.create", "self.target.release"},
    "accounting/posting.py": {"invoices.step"},
}
"""What leaves a trace behind, by the module that does it."""

MONEY = [
    *sorted((PACKAGE / "accounting").rglob("*.py")),
    *(
        PACKAGE / "ledger" / f"{name}.py"
        for name in ("canonical", "decisions", "invoices", "lines", "snapshot", "tables")
    ),
]


@pytest.mark.parametrize("module", EFFECTS)
def test_a_side_effect_without_a_failpoint_fails_here(module: str) -> None:
    tree = ast.parse((PACKAGE / module).read_text("utf-8"))
    found = {ast.unparse(call.func) for call in ast.walk(tree) if isinstance(call, ast.Call)} & EFFECTS[module]
    assert found == EFFECTS[module], f"{module} no longer calls {EFFECTS[module] - found}: mend this test's list."
    bare = [
        f"{module} line {call.lineno}: {ast.unparse(call.func)}"
        for call in _outside(tree)
        if ast.unparse(call.func) in EFFECTS[module]
    ]
    assert bare == [], "Surround it with `side_effect(NAME)`: " + "; ".join(bare)


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
