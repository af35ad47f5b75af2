"""The same list read by dlt's `rest_api` source into DuckDB.

Belongs here: what `fetching` is held against, in the leanest way dlt has: a declared cursor, only the fields that
Morton stores, Parquet on the way, one table replaced at each load. Nothing is validated, and no load before is kept.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import dlt
import duckdb
from dlt.sources.rest_api import rest_api_source
from dlt.sources.rest_api.typing import RESTAPIConfig

from benchmarks.agents import PAGE, two_polls
from morton_pipeline.simulator.credentials import HUNTRESS
from morton_pipeline.simulator.serve import HOST


def read(base_url: str, fields: tuple[str, ...]) -> list[tuple[int, float]]:
    """Load both polls; return the records then in the table, and the seconds, of each."""
    with tempfile.TemporaryDirectory(prefix="morton-dlt-") as folder:
        _stay_here(folder)
        file = Path(folder) / "agents.duckdb"
        pipeline = dlt.pipeline(
            "agents", pipelines_dir=folder, destination=dlt.destinations.duckdb(str(file)), dataset_name="huntress"
        )

        def load() -> None:
            pipeline.run(_source(base_url, fields), loader_file_format="parquet")

        def count() -> int:
            with duckdb.connect(str(file), read_only=True) as con:
                return int(con.execute("select count(*) from huntress.agents").fetchall()[0][0])

        return two_polls(base_url, load, count)


def _source(base_url: str, fields: tuple[str, ...]) -> Any:
    def kept(row: dict[str, Any]) -> dict[str, Any]:
        return {name: row.get(name) for name in fields}

    config: RESTAPIConfig = {
        "client": {
            "base_url": base_url,
            "auth": {"type": "http_basic", "username": HUNTRESS.id, "password": HUNTRESS.secret},
            "paginator": {
                "type": "cursor",
                "cursor_path": "pagination.next_page_token",
                "cursor_param": "page_token",
            },
        },
        "resources": [
            {
                "name": "agents",
                "primary_key": "id",
                "write_disposition": "replace",
                "max_table_nesting": 0,
                "endpoint": {"path": "v1/agents", "params": dict(PAGE), "data_selector": "agents"},
                "processing_steps": [{"map": kept}],
            }
        ],
    }
    return rest_api_source(config)


def _stay_here(folder: str) -> None:
    """Turn dlt's telemetry off, and let this process, which ends with the load, reach no address but this machine's."""
    os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "DLT_DATA_DIR": folder, "DLT_PROJECT_DIR": folder}

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect" and isinstance(arguments[1], tuple):
            host = arguments[1][0]
        elif event == "socket.getaddrinfo":
            host = arguments[0]
        else:
            return
        if host != HOST:
            raise PermissionError(f"dlt tried to reach {host}; the benchmark stays on this machine.")

    sys.addaudithook(refuse)
