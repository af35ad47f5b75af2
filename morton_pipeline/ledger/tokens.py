"""Tokens of people's sign-ins, encrypted, and whose turn it is to renew one. Answers to `extract.auth.TokenStore`.

Belongs here: encryption and its key, and the lock. The key is `MORTON_SECRET_KEY`, else a file of mode 0600 beside the
ledger. The lock is PostgreSQL's own where the ledger is there, for the processes may be on several machines; else a
file in the data folder.
"""

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken
from filelock import FileLock, Timeout

from morton_pipeline.book import PRIVATE, make_folder
from morton_pipeline.clock import wall
from morton_pipeline.errors import MortonError
from morton_pipeline.extract.auth import Grant
from morton_pipeline.failpoints import side_effect
from morton_pipeline.ledger import tables
from morton_pipeline.ledger.canonical import digest
from morton_pipeline.ledger.store import Ledger


@dataclass(frozen=True)
class LedgerTokens:
    """Keeps the newest grant of each connection."""

    ledger: Ledger

    def load(self, connection_id: str, seed: str) -> Grant | None:
        """Return what became of the chain that `seed` began, without a seed of the only one, or nothing."""
        tokens = tables.tokens.c
        mine = tokens.connection_id == connection_id
        if seed:
            mine = sa.and_(mine, tokens.seed_digest == _seed_digest(connection_id, seed))
        with self.ledger.read() as con:
            stored: str | None = con.execute(sa.select(tokens.token).where(mine)).scalar_one_or_none()
        if stored is None:
            return None
        try:
            return _grant(_cipher(self.ledger.data).decrypt(stored.encode()).decode())
        except InvalidToken:
            raise MortonError(
                f"The refresh token of connection {connection_id} was encrypted with another key: restore the "
                f"MORTON_SECRET_KEY or the file {self.ledger.data / 'ledger.key'} it was saved with, or run "
                f"`morton connect {connection_id}` where its vendor has a sign-in page, or put a fresh refresh token "
                "into the environment variable that its `refresh_token:` names in connections.yaml."
            ) from None

    def save(self, connection_id: str, grant: Grant, seed: str) -> None:
        """Make a grant durable before it is first used, with the seed its chain began with.

        Without a seed the chain keeps the one it began with: a process that still has it must not begin anew.
        """
        until = grant.usable_until
        text = json.dumps({**asdict(grant), "usable_until": until.isoformat() if until else None})
        sealed = {"token": _cipher(self.ledger.data).encrypt(text.encode()).decode(), "saved_at": wall()}
        digest_of_seed = {"seed_digest": _seed_digest(connection_id, seed)}
        mine = tables.tokens.c.connection_id == connection_id
        with side_effect("save token"), self.ledger.transaction() as con:
            values = {**sealed, **(digest_of_seed if seed else {})}
            if con.execute(tables.tokens.update().where(mine).values(values)).rowcount == 0:
                con.execute(tables.tokens.insert().values(connection_id=connection_id, **sealed, **digest_of_seed))

    def try_turn(self, connection_id: str) -> Callable[[], None] | None:
        """Begin this process's turn to renew and return what ends it, or nothing while somebody else has it."""
        if self.ledger.engine.dialect.name == "postgresql":
            return self._try_in_database(connection_id)
        folder = self.ledger.data / "turns"
        make_folder(folder, PRIVATE)
        # The turn may end in another thread than it began in: asyncio and a pool of threads both drive flows.
        lock = FileLock(folder / f"{connection_id}.lock", thread_local=False, fallback_to_soft=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        return lock.release

    def _try_in_database(self, connection_id: str) -> Callable[[], None] | None:
        """Take an advisory lock on a database session of its own; it ends with the session, and so with us."""
        key = {"name": f"morton token {connection_id}"}
        con = self.ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        ask = sa.text("select pg_try_advisory_lock(hashtextextended(:name, 0))")
        is_ours: bool = con.execute(ask, key).scalar_one()
        if not is_ours:
            con.close()
            return None

        def end() -> None:
            with con:
                con.execute(sa.text("select pg_advisory_unlock(hashtextextended(:name, 0))"), key)

        return end


def _grant(text: str) -> Grant:
    """Read a stored grant; a ledger of an earlier version holds the bare refresh token."""
    if not text.startswith("{"):
        return Grant(text)
    stored = json.loads(text)
    until = stored["usable_until"]
    return Grant(**{**stored, "usable_until": datetime.fromisoformat(until) if until else None})


def _seed_digest(connection_id: str, seed: str) -> str:
    """Tell seeds apart without keeping them: a refresh token is too long to be guessed from its hash."""
    return digest(["refresh token", connection_id, seed])


def _cipher(data: Path) -> Fernet:
    secret = os.environ.get("MORTON_SECRET_KEY") or _key_file(data / "ledger.key")
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()))


def _key_file(path: Path) -> str:
    """Read the key, or make it: linked into place whole, so that of two processes both use the first one's."""
    if not path.exists():
        draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    if path.stat().st_mode & 0o077:
        raise MortonError(f"{path} can be read by others, and it opens the stored tokens. Run `chmod 600 {path}`.")
    return path.read_text()
