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
        mine = [
            (status, sha256, reason, of_at and of_at.replace(tzinfo=UTC))
            for whose, status, sha256, reason, of_at in rows
            if whose == connection_id
        ]
        days = [of_at for status, _, _, of_at in mine if status != "failed" and of_at]
        found[connection_id] = Seen(
            taken=frozenset((sha256, of_at) for status, sha256, _, of_at in mine if status != "failed" and sha256),
            newest_at=max(days, default=None),
            refused=frozenset((sha256 or "", reason) for status, sha256, reason, _ in mine if status == "failed"),
        )
    return found
