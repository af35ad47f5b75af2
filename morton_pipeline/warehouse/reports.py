"""What was taken from a folder of reports, as the warehouse knows it: from what was loaded, and from nothing else.

Belongs here: looking that up. Does not: reading reports (`extract/files`), or keeping their copies (`refresh`).
"""

from collections.abc import Collection
from datetime import UTC

from morton_pipeline.book import Book
from morton_pipeline.extract.files import Seen
from morton_pipeline.warehouse.lock import WAIT_SECONDS, connect


def seen(
    book: Book, connection_ids: Collection[str], owner: str, wait_seconds: float = WAIT_SECONDS
) -> dict[str, Seen]:
    """Return what came before through each of these connections; one that is held as suspect was taken too."""
    with connect(book, owner, wait_seconds) as con:
        rows = con.execute(
            "select connection_id, status, source_sha256, reason, source_as_of_at from raw.extractions "
            "where vendor = 'files' and source_file is not null and list_contains(?, connection_id)",
            [list(connection_ids)],
        ).fetchall()
    found = {}
    for connection_id in connection_ids:
        mine = [row[1:] for row in rows if row[0] == connection_id]
        days = [as_of_at for status, _, _, as_of_at in mine if status != "failed" and as_of_at]
        found[connection_id] = Seen(
            taken=frozenset(sha256 for status, sha256, _, _ in mine if status != "failed" and sha256),
            newest_at=max(days).replace(tzinfo=UTC) if days else None,
            refused=frozenset((sha256 or "", reason) for status, sha256, reason, _ in mine if status == "failed"),
        )
    return found
