"""The command that waits for Intuit's Web Connector: QuickBooks Desktop calls us, nobody can call it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from morton_pipeline.cli import cli, command, say
from morton_pipeline.connector import PORT

if TYPE_CHECKING:
    from morton_pipeline.book import Book, Connection


@command(cli, "connector", ("table",), connects=True)
@click.argument("connection", required=False, metavar="[CONNECTION]")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=PORT, show_default=True, help="The port to listen on.")
@click.option("--qwc", "qwc_file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write the file the Web Connector is told of us by, and end.")  # fmt: skip
@click.option("--new-password", "is_new", is_flag=True, help="Print a new password and the line for .env, and end.")
def connector(
    book: "Book", output: str, connection: str | None, host: str, port: int, qwc_file: Path | None, is_new: bool
) -> None:
    """Wait for the QuickBooks Web Connector, which fetches what is to be sent and read.

    Runs until it is stopped.
    """
    from morton_pipeline.connector import setup

    chosen = _chosen(book, connection)
    if is_new:
        password, hashed = setup.new_password()
        say("This password is shown once; type it into the Web Connector:")
        click.echo(password)
        say("This line goes into .env, in place of an older one:")
        click.echo(f"{chosen.secrets['password']}='{hashed}'")
        return
    if qwc_file:
        qwc_file.write_bytes(setup.qwc(book, chosen, port))
        say(f"{qwc_file} is written: add it in the Web Connector with File, Add an Application.")
        return
    _serve(book, chosen, host, port)


def _chosen(book: "Book", connection_id: str | None) -> "Connection":
    """Return the connection to wait for: the one named, else the only one there is."""
    from morton_pipeline.errors import BadInput
    from morton_pipeline.vendors import vendor_of

    callers = [c for c in book.connections if vendor_of(c).is_caller]
    if connection_id:
        callers = [c for c in callers if c.id == book.connection(connection_id).id]
    if len(callers) != 1:
        named = ", ".join(c.id for c in callers)
        raise BadInput(
            f"Say which connection to wait for: {named}."
            if callers
            else "Only connections of the vendor quickbooks_desktop are waited for: Morton calls all others itself."
        )
    return callers[0]


def _serve(book: "Book", connection: "Connection", host: str, port: int) -> None:
    import uvicorn
    from filelock import FileLock, Timeout

    from morton_pipeline.book import make_data_folder
    from morton_pipeline.connector.service import Service, create_app
    from morton_pipeline.connector.setup import LOOPBACK, Login, address
    from morton_pipeline.connector.work import Work
    from morton_pipeline.errors import BadInput

    at = address(connection, port)
    if host not in LOOPBACK and not at.startswith("https:"):
        raise BadInput(
            f"Connection {connection.id}: on {host} the password would cross the network in the clear. Give "
            "`base_url:` the https address of a web server with a certificate that passes calls on to this port."
        )
    service = Service(connection, Work(book, connection, say=say), Login(connection))
    make_data_folder(book)
    try:
        with FileLock(book.data / f"connector.{connection.id}.lock", timeout=0, fallback_to_soft=False):
            say(f"Waiting for the Web Connector of {connection.id} at {at}; stop with Ctrl-C.")
            uvicorn.run(create_app(service, connection, at), host=host, port=port, log_level="warning")
    except Timeout:
        raise BadInput(
            f"Another `morton connector` waits for {connection.id} already: two would answer one visit."
        ) from None
