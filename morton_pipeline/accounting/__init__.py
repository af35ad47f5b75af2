"""Where invoices go: one file per accounting system, and the posting state machine they share.

Belongs here: drafts from approved decisions, sending them exactly once, and reading back what became of them.
Does not: deciding what is owed (`dbt_project/`) or whether (`ledger/decisions.py`).
"""

from morton_pipeline.accounting.drafts import Draft, Plan
from morton_pipeline.accounting.posting import plan, post, status, verify

__all__ = ["Draft", "Plan", "plan", "post", "status", "verify"]
