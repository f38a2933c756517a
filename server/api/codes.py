"""One-time codes as people scan and type them: Crockford's base 32, 26 characters, and an alias of 8 (decisions 17).

The alias is made from the code's hash, so that every node finds the same one without telling the others: three
characters for the shop, five for the offer. It opens nothing by itself; tries are counted.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated

from msgspec import Meta

from server.record.canonical import b64u_encode

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_LENGTH = 26
ALIAS_LENGTH = 8
SHOP_LENGTH = 3
Code = Annotated[str, Meta(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$(?!\n)", description="A one-time code")]
CodeOrAlias = Annotated[
    str, Meta(pattern=r"^([0-9A-HJKMNP-TV-Z]{26}|[0-9A-HJKMNP-TV-Z]{8})$(?!\n)", description="A code, or its alias")
]


def hash_of(code: str) -> str:
    """What the ledger holds of a code: SHA-256 over its ASCII characters, in base64url."""
    return b64u_encode(sha256(code.encode("ascii")).digest())


def shop_prefix(shop: str) -> str:
    """The first three characters of all aliases of a shop."""
    return _letters(b"linli/alias/shop\n" + shop.encode(), SHOP_LENGTH)


def alias_of(shop: str, offer: str) -> str:
    """The alias of an offer, from its shop and its id."""
    return shop_prefix(shop) + _letters(b"linli/alias/offer\n" + offer.encode(), ALIAS_LENGTH - SHOP_LENGTH)


def _letters(content: bytes, count: int) -> str:
    number = int.from_bytes(sha256(content).digest())
    return "".join(ALPHABET[(number >> (5 * place)) & 31] for place in range(count))
