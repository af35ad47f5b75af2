"""What steps are given: the book they work on, and how they run. A resource says where; plain Python does the work."""

import dagster as dg

from morton_pipeline.book import Book, open_book


class BookResource(dg.ConfigurableResource[Book]):
    """The book of this Dagster: opened inside a step, never while definitions load."""

    path: str = ""
    """The book's folder; empty means the one `MORTON_BOOK` names."""

    def open(self) -> Book:
        """Open the book; what is wrong with its connections.yaml is said here."""
        return open_book(self.path or None)


@dg.definitions
def defs() -> dg.Definitions:
    """Steps of a run share one process: a process per step would import everything again, ten seconds each."""
    return dg.Definitions(resources={"book": BookResource()}, executor=dg.in_process_executor)
