"""Personal data at rest: AES-256-GCM under a key file of this node alone, and keyed hashes to look people up by.

A ciphertext is bound to its table, column and row: moved elsewhere it does not open. The key is never logged, and no
representation shows it. It must not know what a person is.
"""

from __future__ import annotations

import hmac
import os
import secrets
import stat
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from server.record.canonical import Malformed, b64u_decode, b64u_encode
from server.storage.database import Database, DatabaseFault
from server.storage.private_tables import VAULT_CHECK
from server.storage.statements import Connection, add_missing, find_rows

KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = b"\x01"
"""First byte of every ciphertext: another cipher or a new key would be another version."""
_CHECK = "key"
_CHECK_TEXT = b"linli/vault/v1"


class WrongKey(DatabaseFault):
    """The key does not open what was sealed: another node's key file, or a ciphertext that was moved or changed."""


class Cell(NamedTuple):
    """The place that a ciphertext is bound to."""

    table: str
    column: str
    id: str

    def bytes(self) -> bytes:
        """The associated data."""
        return "\n".join(("linli/vault/v1", *self)).encode()


class Vault:
    """Seals and opens personal fields. Holds two keys derived from the key file: one to seal, one to hash."""

    __slots__ = ("_cipher", "_hash_key")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise WrongKey(f"the vault's key must have {KEY_BYTES} bytes")
        self._cipher = AESGCM(_derive(key, b"seal"))
        self._hash_key = _derive(key, b"hash")

    @classmethod
    def from_file(cls, path: Path) -> Vault:
        """Read the key file: 43 characters of base64url, readable by its owner only. Raises WrongKey."""
        return cls(read_key(path))

    def seal(self, cell: Cell, value: bytes) -> bytes:
        """Encrypt a value for its place: version, nonce, ciphertext and tag."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, value, cell.bytes())

    def unseal(self, cell: Cell, sealed: bytes) -> bytes:
        """The value sealed for this place. Raises WrongKey for any other place, key or bytes."""
        nonce, content = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            if sealed[:1] != _VERSION:
                raise InvalidTag
            return self._cipher.decrypt(nonce, content, cell.bytes())
        except (InvalidTag, ValueError):
            raise WrongKey(f"{cell.table}.{cell.column} does not open with this node's key") from None

    def keyed_hash(self, purpose: str, value: str) -> str:
        """HMAC-SHA256 of a value, for look-ups: 43 characters. Hashes of different purposes cannot be compared."""
        return b64u_encode(hmac.digest(self._hash_key, f"{purpose}\n{value}".encode(), sha256))

    def __repr__(self) -> str:
        return "Vault(key hidden)"


def read_key(path: Path) -> bytes:
    """The 32 bytes of a key file. Raises WrongKey: missing, of another form, or readable by others."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii").strip()
        key = b64u_decode(text, KEY_BYTES)
    except FileNotFoundError:
        raise WrongKey(f"the key file {path} is missing: restore it from its backup") from None
    except (OSError, UnicodeDecodeError, Malformed):
        raise WrongKey(f"the key file {path} is not a key of 32 bytes in base64url") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise WrongKey(f"the key file {path} can be read by others: chmod 600")
    return key


def create_key(path: Path) -> None:
    """Write a new key file, readable by its owner only. Raises FileExistsError rather than lose a key."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(b64u_encode(secrets.token_bytes(KEY_BYTES)) + "\n")
        file.flush()
        os.fsync(file.fileno())


async def check_vault(database: Database, vault: Vault) -> None:
    """Raise WrongKey unless the key is the one that this database was sealed with; a new database takes it."""
    cell = Cell(VAULT_CHECK.name, "sealed_text", _CHECK)

    async def work(connection: Connection) -> bytes:
        await add_missing(connection, VAULT_CHECK, [(_CHECK, vault.seal(cell, _CHECK_TEXT))])
        [(_, sealed)] = await find_rows(connection, VAULT_CHECK, [_CHECK])
        return bytes(sealed)

    try:
        vault.unseal(cell, await database.run(work))
    except WrongKey:
        raise WrongKey("the key file is not the one that sealed this database: restore the right one") from None


def _derive(key: bytes, purpose: bytes) -> bytes:
    return hmac.digest(key, b"linli/vault/v1\n" + purpose, sha256)
