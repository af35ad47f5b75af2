"""Introducing the Web Connector to us: its password, of which we keep a hash, and the file that tells it where we are.

Belongs here: the password, its hash, and the .qwc file. Does not: what happens once it calls (`service.py`).
"""

import hmac
import secrets
import threading
import uuid
from urllib.parse import urlsplit

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from argon2.low_level import Type
from lxml import etree

from morton_pipeline.book import Book, Connection
from morton_pipeline.errors import BadInput

EVERY_MINUTES = 15
"""How often the Web Connector comes by itself, once its user has ticked Auto-Run."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")

_HASHER = PasswordHasher()
_ONE_AT_A_TIME = threading.Lock()
"""A hash takes 64 MiB for a moment: whoever tries passwords side by side shall not take it all."""


def new_password() -> tuple[str, str]:
    """Return a new password and its hash."""
    password = secrets.token_urlsafe(24)
    return password, _HASHER.hash(password)


class Login:
    """Whom the Web Connector must be. A wrong name takes as long as a wrong password."""

    def __init__(self, connection: Connection) -> None:
        variable, self._hash = connection.secrets["password"], connection.secret_values()["password"]
        self.name = connection.id
        try:
            if extract_parameters(self._hash).type is not Type.ID:
                raise InvalidHashError
        except InvalidHashError:
            raise BadInput(
                f"Connection {connection.id}: {variable} holds no argon2id hash. Make a password with "
                f"`morton connector {connection.id} --new-password`: the line it prints goes into .env, the "
                "password into the Web Connector."
            ) from None

    def admits(self, name: str, password: str) -> bool:
        """Whether a name and a password are right."""
        with _ONE_AT_A_TIME:
            is_right = _is_right(self._hash, password)
        return hmac.compare_digest(name.encode(), self.name.encode()) and is_right


def _is_right(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, password)
    except VerifyMismatchError:
        return False


def address(connection: Connection, port: int) -> str:
    """Return where the Web Connector finds this connection: its `base_url`, on this machine with the port served on."""
    parts = urlsplit(connection.base_url)
    if parts.hostname in LOOPBACK:
        return f"http://localhost:{port}{path(connection)}"
    return f"{connection.base_url}{path(connection)}"


def path(connection: Connection) -> str:
    """Return the path a connection is served at."""
    return f"/quickbooks-desktop/{connection.id}"


def qwc(book: Book, connection: Connection, port: int) -> bytes:
    """Write the file the Web Connector is told of us by: the same on any day. The password is not in it."""
    parts = urlsplit(connection.base_url)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise BadInput(f"Connection {connection.id}: base_url must begin with https:// to be called from elsewhere.")
    owner = uuid.uuid5(uuid.NAMESPACE_URL, f"morton:{book.root.name}")
    file = uuid.uuid5(owner, f"{connection.id}:{connection.settings['company_file']}")
    at = address(connection, port)
    fields = {
        "AppName": f"Morton ({connection.id})",
        "AppID": "",
        "AppURL": at,
        "AppDescription": "Sends approved invoices, once, and reads what was invoiced.",
        "AppSupport": f"{at}?support",
        "UserName": connection.id,
        "OwnerID": f"{{{str(owner).upper()}}}",
        "FileID": f"{{{str(file).upper()}}}",
        "QBType": "QBFS",
        "Style": "Document",
        "Scheduler": {"RunEveryNMinutes": str(EVERY_MINUTES)},
        "IsReadOnly": "false",
    }
    root = etree.Element("QBWCXML")
    for name, value in fields.items():
        element = etree.SubElement(root, name)
        if isinstance(value, dict):
            for inner, text in value.items():
                etree.SubElement(element, inner).text = text
        else:
            element.text = value
    written: bytes = etree.tostring(root, encoding="utf-8", xml_declaration=True, pretty_print=True)
    return written
