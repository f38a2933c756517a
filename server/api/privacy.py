"""The privacy notice, by version: what is kept, where, for how long, and who decides (PIPL 17).

A version never changes once a device was bound under it: a new text is a new version. `device.bind` names the version.
"""

from __future__ import annotations

import msgspec


class Notice(msgspec.Struct, frozen=True):
    """One version of the notice in both languages."""

    version: int
    zh: str
    en: str


NOTICES: tuple[Notice, ...] = (
    Notice(
        1,
        zh="""邻里隐私说明（第 1 版）

一、谁在处理您的信息
本小区的三家记账单位（公共首页列有名称和联系电话）共同处理您的信息，各自保存、互相核对。

二、处理哪些信息、为了什么
1. 姓名、房号、产权面积、证件号码、手机号：来自产权清册，只用于核对您是业主、确定您的表决权。它们加密保存在各记账单位自己的库里，不写入公共账本。
2. 设备公钥：您的手机生成的一把钥匙，用来给您提交的内容签名。私钥不离开手机。
3. 您的表决、诉求、积分记录：公共账本上只有代号、时间和“封存码”。您选了什么、诉求的文字、联系方式和照片不写入公共账本，只在各单位的私有库中保存。
4. 照片：去掉拍摄地点等附加信息后保存。

三、保存多久
表决凭据保存到表决结束后满三年；诉求照片和文字保存到办结后满两年；登录会话最长半年。公共账本上的代号和封存码长期保存，但删除私有内容后，它们不再能对应到您。

四、您的权利
您可以查阅、更正、复制或者要求删除您的个人信息，可以撤回同意、停用设备，也可以改用纸质选票。请联系页面上的电话，或到居委会、业委会、物业任一窗口办理。撤回同意不影响此前已经完成的表决。

五、未满十四周岁
我们不为未满十四周岁的人开通。""",
        en="""Linli privacy notice (version 1)

1. Who handles your data
The three organisations that keep this estate's ledger (named with phone numbers on the first page) handle it together; each keeps its own copy and checks the others.

2. Which data, and what for
- Name, home, area, document number and phone number come from the property roll and serve only to find out that you are an owner and what your vote counts. They are kept encrypted by each organisation and never stand on the public ledger.
- Your device's public key: your phone makes a key to sign what you submit. The private key does not leave the phone.
- Your votes, tickets and points: the public ledger holds pseudonyms, times and sealed codes only. What you chose, the text of a ticket, contact data and photos are kept in the organisations' private stores.
- Photos are kept without their place and camera data.

3. For how long
Evidence of a vote: three years after its close. Photos and texts of a ticket: two years after it is settled. Sessions: half a year at most. Pseudonyms and sealed codes stay on the ledger; once the private part is deleted they no longer lead to you.

4. Your rights
You may see, correct, copy or have deleted what is kept about you, withdraw your consent, revoke a device, or vote on paper instead. Call the number on the page, or ask at any of the three offices. Withdrawing does not undo votes already counted.

5. Under fourteen
We do not open accounts for children under fourteen.""",
    ),
)
"""All versions, oldest first."""


def newest_notice() -> Notice:
    """The version that new devices agree to."""
    return NOTICES[-1]


def notice_of(version: int) -> Notice | None:
    """A version, also an old one: who agreed to it may read it again."""
    return next((notice for notice in NOTICES if notice.version == version), None)
