"""The contract seeds: what analysts edit, and every way a row can be wrong, named by file, row, column and fix.

`columns` says what each seed has, `values` what one cell may read, `rules/` what must hold between rows, and `problem`
how a wrong one is named. `reading` takes the files as analysts write them, `checks` asks every rule of them before
anything is built, and `writing` makes those a build reads; `coverage` is what right seeds still lack, `additions` are
rows Morton adds at the end of a file, and `edits` what differs between two folders. Does not belong here: what a
contract means for a quantity (`dbt_project/`). A build never sees a seed that did not pass.
"""

from morton_pipeline.seeds.checks import NOTHING_SENT, check, refuse_wrong
from morton_pipeline.seeds.columns import KEYS, SEEDS, Column, Row
from morton_pipeline.seeds.countable import countable, mappable_fields
from morton_pipeline.seeds.coverage import missing_rates, uncovered
from morton_pipeline.seeds.problem import Problem
from morton_pipeline.seeds.reading import read
from morton_pipeline.seeds.values import canonical, wrong_cell
from morton_pipeline.seeds.writing import write_checked, write_known

__all__ = [
    "KEYS",
    "NOTHING_SENT",
    "SEEDS",
    "Column",
    "Problem",
    "Row",
    "canonical",
    "check",
    "countable",
    "mappable_fields",
    "missing_rates",
    "read",
    "refuse_wrong",
    "uncovered",
    "write_checked",
    "write_known",
    "wrong_cell",
]
