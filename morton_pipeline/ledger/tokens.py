"""Rotating refresh tokens, encrypted. The ledger's answer to `extract.auth.TokenStore`.

Belongs here: encryption and its key. The key is `MORTON_SECRET_KEY`, else a file of mode 0600 beside the ledger.
"""

import base64
import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken

from morton_pipeline.clock import wall
from morton_pipeline.errors import MortonError
from morton_pipeline.ledger import tables
from morton_pipeline.ledger.canonical import digest
from morton_pipeline.ledger.store import Ledger


@dataclass(frozen=True)
class LedgerTokens:
    """Keeps the newest refresh token of each connection."""

    ledger: Ledger

    def load(self, connection_id: str, seed: str) -> str | None:
        """Return the newest refresh token of the chain that `seed` began, or nothing when there is none."""
        tokens = tables.tokens.c
        mine = sa.and_(tokens.connection_id == connection_id, tokens.seed_digest == _seed_digest(connection_id, seed))
        with self.ledger.read() as con:
            stored: str | None = con.execute(sa.select(tokens.token).where(mine)).scalar_one_or_none()
        if stored is None:
            return None
        try:
            return _cipher(self.ledger.data).decrypt(stored.encode()).decode()
        except InvalidToken:
            raise MortonError(
                f"The refresh token of connection {connection_id} was encrypted with another key: restore the "
                f"MORTON_SECRET_KEY or the file {self.ledger.data / 'ledger.key'} it was saved with, or put a fresh "
                "refresh token into the environment variable that its `refresh_token:` names in connections.yaml."
            ) from None

    def save(self, connection_id: str, token: str, seed: str) -> None:
        """Make a rotated refresh token durable before it is first used, with the seed its chain began with."""
        sealed = {
            "seed_digest": _seed_digest(connection_id, seed),
            "token": _cipher(self.ledger.data).encrypt(token.encode()).decode(),
            "saved_at": wall(),
        }
        mine = tables.tokens.c.connection_id == connection_id
        with self.ledger.transaction() as con:
            if con.execute(tables.tokens.update().where(mine).values(sealed)).rowcount == 0:
                con.execute(tables.tokens.insert().values(connection_id=connection_id, **sealed))


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
