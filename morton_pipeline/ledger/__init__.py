"""What people decided and what was sent: decisions, invoices, tokens, and the audit chain over them.

Belongs here: everything that must survive, and the only code that writes it. Does not: what to send and where
(`accounting/`), or numbers that can be computed again (`dbt_project/`). Nothing here imports pandas until a
snapshot is asked for.
"""

from morton_pipeline.ledger.audit import refuse_earlier, verify
from morton_pipeline.ledger.decisions import Outcome, decide
from morton_pipeline.ledger.store import Ledger, open_ledger

__all__ = ["Ledger", "Outcome", "decide", "open_ledger", "refuse_earlier", "verify"]
