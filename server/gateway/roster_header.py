"""The heading of a roster: which column means what, under the many names that offices give them. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from server.gateway.roster_cells import Cell, cell_text
from server.gateway.roster_file import FileFault, RosterError
from server.gateway.roster_line import Column
from server.gateway.spelling import fold_tight

HEADER_ROWS_MAX = 30
"""Titles, dates and blank rows above the heading; more is another kind of document."""
RECOGNISED_MIN = 3
"""Fewer known names in a row may be chance (a note that says 姓名); three are a heading."""
TITLES = {
    Column.BUILDING: "楼号",
    Column.UNIT: "单元",
    Column.ROOM: "室号",
    Column.OWNER: "业主姓名",
    Column.ID_KIND: "证件类型",
    Column.ID_NUMBER: "证件号码",
    Column.PHONE: "手机号",
    Column.AREA: "建筑面积",
    Column.SHARE: "产权份额",
    Column.NOTE: "备注",
}
"""The heading that we write ourselves and name in errors."""
REQUIRED = (Column.ROOM, Column.OWNER, Column.ID_NUMBER, Column.AREA, Column.SHARE)
_NAMES = {
    Column.BUILDING: "楼号 楼栋号 楼栋 楼幢 楼幢号 栋号 幢号 栋 幢 楼 座号 座 楼宇 号楼",
    Column.UNIT: "单元 单元号",
    Column.ROOM: "室号 房号 房间号 房屋号 门牌号 门牌 户号 室 房屋编号 房屋坐落 坐落 部位 室号部位",
    Column.OWNER: "业主姓名 姓名 业主 业主名称 业主姓名或名称 业主姓名/名称 产权人 产权人姓名 权利人 权利人姓名"
    " 所有权人 房屋所有权人 姓名或名称 姓名/名称 户主 户主姓名",
    Column.ID_KIND: "证件类型 证件种类 证件类别 证照类型 证件名称 身份证件类型",
    Column.ID_NUMBER: "证件号码 证件号 证照号码 证件编号 身份证号 身份证号码 身份证 公民身份号码"
    " 身份证件号码 身份证件号",
    Column.PHONE: "手机号 手机号码 手机 联系电话 联系手机 电话 电话号码 联系方式 移动电话 业主电话",
    Column.AREA: "建筑面积 面积 产权面积 房屋面积 房屋建筑面积 专有部分面积 专有面积 专有部分建筑面积 登记面积",
    Column.SHARE: "产权份额 份额 共有份额 产权比例 所占份额 持有份额 所有权份额 产权占比 共有比例",
    Column.NOTE: "备注 说明 附注 备注说明",
}
_COLUMN_OF_NAME = {name: column for column, names in _NAMES.items() for name in names.split()}
_BRACKETED = re.compile(r"[(\[【][^()\[\]【】]*[)\]】]")
TITLE_CHARACTERS_MAX = 100
_UNIT_TAIL = re.compile(r"(?<=面积)/?(?:m2|平方米|平米)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Header:
    """Where the heading stands (row counted from 1) and which column (counted from 0) holds what."""

    row: int
    places: Mapping[Column, int]

    def pick(self, cells: Sequence[Cell]) -> dict[Column, Cell]:
        """Return a line's cells by column; a line that ends early has blank cells there."""
        return {column: cells[place] if place < len(cells) else None for column, place in self.places.items()}


def find_header(rows: Iterable[Sequence[Cell]]) -> Header | None:
    """Return the heading among these first rows of a sheet, the one with most known names, or None when there is none.

    Raises: RosterError when it lacks a required column or names one twice.
    """
    best_row, best_names = 0, ()  # type: tuple[int, tuple[Column | None, ...]]
    for row, cells in enumerate(rows, start=1):
        names = tuple(_recognise(cell) for cell in cells)
        if _count_known(names) > _count_known(best_names):
            best_row, best_names = row, names
    if _count_known(best_names) < RECOGNISED_MIN:
        return None
    return Header(best_row, _place(best_names))


def required_titles() -> str:
    """Return the titles of the columns that a roster must have, for people."""
    return "、".join(TITLES[column] for column in REQUIRED)


def _recognise(cell: Cell) -> Column | None:
    if not isinstance(cell, str) or len(cell) > TITLE_CHARACTERS_MAX:
        return None
    name = re.sub(r"[*:#]", "", _BRACKETED.sub("", fold_tight(cell_text(cell))))
    return _COLUMN_OF_NAME.get(_UNIT_TAIL.sub("", name))


def _count_known(names: Iterable[Column | None]) -> int:
    return len({name for name in names if name is not None})


def _place(names: Sequence[Column | None]) -> dict[Column, int]:
    places: dict[Column, int] = {}
    for place, column in enumerate(names):
        if column is None:
            continue
        if column in places:
            raise RosterError(FileFault.COLUMN_TWICE, TITLES[column])
        places[column] = place
    missing = [TITLES[column] for column in REQUIRED if column not in places]
    if missing:
        raise RosterError(FileFault.COLUMN_MISSING, "、".join(missing))
    return places
