"""Lists: a page of items and the cursor to the next one. A cursor is the id of the last item, nothing secret."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta

T = TypeVar("T")
LIMIT_DEFAULT = 50
LIMIT_MAX = 200
Limit = Annotated[int, Meta(ge=1, le=LIMIT_MAX, description="Items of one page")]
Cursor = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_./@-]{0,200}$(?!\n)", description="Where the page before ended")]


class Page(msgspec.Struct, Generic[T], frozen=True, omit_defaults=True):
    """Items, and the cursor of the next page; no cursor: this was the last."""

    items: list[T]
    cursor: str = ""
