"""The one table of stable codes: what each means in HTTP, and its sentence for people in Chinese and English.

The API's own codes stand here, the refusals of records in `refusals`; a test proves that none is missing. A sentence says
what happened and what to do next, without words of our craft.
"""

from __future__ import annotations

from typing import NamedTuple

from server.api.refusals import REFUSALS

REFUSED_STATUS = 409
"""A record refused by the rules (api.md)."""


class Sentence(NamedTuple):
    """What a code means."""

    status: int
    zh: str
    en: str


API_SENTENCES: dict[str, Sentence] = {
    # 400
    "malformed": Sentence(400, "提交的内容格式不对，请更新小程序后重试。", "The request is not of the expected form."),
    "person_details_bad": Sentence(
        400, "填写的内容不对，请核对证件后重填。", "This is not right; please compare it with the document."
    ),
    "roster_unreadable": Sentence(400, "无法读取这份产权清册。", "This roster cannot be read."),
    # 401
    "session_missing": Sentence(401, "请先登录。", "Please sign in first."),
    "session_invalid": Sentence(401, "登录无效，请重新登录。", "This session does not hold; please sign in again."),
    "session_expired": Sentence(401, "登录已过期，请重新登录。", "The session has expired; please sign in again."),
    "challenge_unknown": Sentence(401, "登录请求已过期，请重试。", "The sign-in took too long; please try again."),
    "proof_invalid": Sentence(401, "设备签名不正确，无法登录。", "The device's signature does not hold."),
    "device_unbound": Sentence(401, "这台设备还没有绑定住户身份。", "This device is not tied to a person yet."),
    "device_ended": Sentence(401, "这台设备已被停用。", "This device has been revoked."),
    "signature_invalid": Sentence(
        401, "签名不正确，内容没有被接受。", "The signature does not hold; nothing was recorded."
    ),
    "evidence_mismatch": Sentence(
        401, "验证码不正确或已过期，请核对后重试。", "The code is wrong or has expired; please check and try again."
    ),
    "wechat_code_invalid": Sentence(
        401, "微信授权已过期或已用过，请再点一次微信核实。", "WeChat's code has expired or was used; please tap again."
    ),
    # 403
    "wechat_blocked": Sentence(
        403,
        "微信暂时不能为您核实，请改用短信验证码或找工作人员。",
        "WeChat does not vouch for this account now; use a text message or ask staff.",
    ),
    "self_attestation": Sentence(
        403, "不能核实自己，请由另一位工作人员核实。", "Nobody can confirm himself; ask another member of staff."
    ),
    "role_needed": Sentence(403, "您没有查看或办理此事的权限。", "You do not hold the role that this needs."),
    "device_unverified": Sentence(
        403,
        "需要两家单位核实这台设备后才能查看。",
        "Two organisations must confirm this device before it may see this.",
    ),
    "attachment_missing": Sentence(
        403, "缺少照片或附件，请重新上传后再提交。", "A photo or an attachment is missing; upload it again."
    ),
    # 404
    "not_found": Sentence(404, "没有找到。", "Nothing is here."),
    "record_not_found": Sentence(404, "没有这条记录。", "This record is not known."),
    "receipt_not_ready": Sentence(
        404, "凭证还没有生成，请稍后再取。", "The receipt is not ready yet; please try again later."
    ),
    "motion_unknown": Sentence(404, "没有这项表决。", "This vote is not known."),
    "ticket_unknown": Sentence(404, "没有这件诉求，或您无权查看。", "This ticket is not known, or not yours to see."),
    "photo_unknown": Sentence(404, "没有这张照片，或您无权查看。", "This photo is not known, or not yours to see."),
    "offer_unknown": Sentence(404, "没有这个兑换码，请核对后重试。", "This code is not known; please check it."),
    "person_unknown": Sentence(404, "名册中没有这个人。", "This person is not on the roll."),
    "wechat_phone_unknown": Sentence(
        404,
        "您的微信手机号不在本单位名册中，或与家人共用。请改用短信验证码，或请工作人员当面核实。",
        "The number of your WeChat is not on this roll, or shared with family; use a text message or ask staff.",
    ),
    "counter_code_unknown": Sentence(
        404,
        "没有这个核对码，或已过期。请居民在手机上重新取一个。",
        "There is no such code, or it has expired; ask for a new one on the phone.",
    ),
    "import_unknown": Sentence(
        404, "导入已过期，请重新上传清册。", "This import has expired; please upload the roster again."
    ),
    "tile_unknown": Sentence(404, "账本还没有这一块。", "The log has no such tile yet."),
    "notice_unknown": Sentence(404, "没有这个版本的隐私说明。", "There is no such version of the privacy notice."),
    # 405, 408, 409, 413, 415, 422
    "too_slow": Sentence(
        408, "网络太慢，提交超时，请换个网络重试。", "The request came too slowly; please try another network."
    ),
    "method_not_allowed": Sentence(405, "不支持这种请求方式。", "This method is not allowed here."),
    "roster_has_bad_lines": Sentence(
        409,
        "清册中有错误的行，请先改正，任何内容都没有导入。",
        "The roster has bad lines; correct them first, nothing was imported.",
    ),
    "person_owns": Sentence(
        409,
        "此人已在名册中，直接查找即可；姓名和电话以名册为准。",
        "This person is on the roll already; just search. Name and number are those of the roster.",
    ),
    "rules_unsupported": Sentence(
        409,
        "还有节点的程序不认识这一版规则，请先升级所有节点。",
        "Not every node's program knows this version of the rules; upgrade all nodes first.",
    ),
    "person_has_role": Sentence(
        409, "此人还有岗位，请先收回岗位再移除。", "This person still holds a role; take it back first."
    ),
    "roll_in_progress": Sentence(
        409, "另一份清册正在公布，请等它生效。", "Another roll is being published; wait until it is in force."
    ),
    "counter_code_used": Sentence(
        409, "这个核对码已经核实给另一个人，请重新取一个。", "This code was used for somebody else; ask for a new one."
    ),
    "body_too_large": Sentence(413, "提交的内容太大。", "The request is too large."),
    "photo_too_large": Sentence(
        413,
        "照片太大，请选择 12 MB、5000 万像素以内的照片。",
        "The photo is too large: at most 12 MB and 50 megapixels.",
    ),
    "roster_too_large": Sentence(413, "清册文件太大。", "The roster's file is too large."),
    "headers_too_large": Sentence(431, "请求头太大。", "The request's headers are too large."),
    "media_type_unsupported": Sentence(415, "不支持这种内容类型。", "This content type is not supported."),
    "photo_not_readable": Sentence(
        415,
        "无法识别这张图片，请使用 JPEG、PNG、WebP 或 HEIC 照片。",
        "Not a picture we read: use JPEG, PNG, WebP or HEIC.",
    ),
    "photo_damaged": Sentence(422, "照片已损坏，请重新拍摄或选择。", "The photo is damaged; take or choose it again."),
    # 429, 5xx
    "too_many": Sentence(429, "操作太频繁，请稍后再试。", "Too many requests; please wait a moment."),
    "tries_used_up": Sentence(
        429,
        "今天的尝试次数已用完，请明天再试，或联系工作人员。",
        "No tries are left for today; come back tomorrow or ask staff.",
    ),
    "wechat_limited": Sentence(
        429,
        "微信核实太频繁，请一分钟后再试，或改用短信。",
        "WeChat was asked too often; try in a minute, or use a text message.",
    ),
    "evidence_void": Sentence(
        422,
        "这两份检查点不能证明有单位自相矛盾。",
        "These two checkpoints do not prove that an organisation has contradicted itself.",
    ),
    "photo_quota": Sentence(
        429, "今天上传的照片太多，请明天再试。", "Too many photos today; please come back tomorrow."
    ),
    "internal_error": Sentence(
        500, "系统出错，工作人员会查看。", "Something went wrong on our side; it has been noted."
    ),
    "no_quorum": Sentence(
        503,
        "记账单位暂时无法达成一致，内容已保留，请稍后重试。",
        "The nodes cannot agree at the moment; your record is kept, try again soon.",
    ),
    "behind": Sentence(503, "本节点正在同步，请稍后再试。", "This node is catching up; please try again soon."),
    "cache_down": Sentence(
        503, "系统繁忙，请稍后再试。", "This node is too busy at the moment; please try again soon."
    ),
    "node_stopped": Sentence(
        503,
        "本节点已停止记账，请换一家单位的节点重试。",
        "This node has stopped keeping the ledger; use another organisation's.",
    ),
    "phone_codes_off": Sentence(
        503,
        "本单位暂时不能发送短信验证码，请换一家单位或找工作人员。",
        "This organisation sends no codes now; use another or ask staff.",
    ),
    "wechat_unavailable": Sentence(
        503,
        "微信暂时没有回应，请稍后再试，或改用短信验证码。",
        "WeChat does not answer at the moment; try again soon, or use a text message.",
    ),
    "wechat_off": Sentence(
        503,
        "本单位暂时不能使用微信核验，请改用短信或找工作人员。",
        "Sign-in by WeChat is not available here; use a code or ask staff.",
    ),
}


def sentence_of(code: str) -> Sentence:
    """The sentence of a code, of the API or of a record's refusal. KeyError is a bug: a test holds the table complete."""
    found = API_SENTENCES.get(code)
    if found is not None:
        return found
    zh, en = REFUSALS[code]
    return Sentence(REFUSED_STATUS, zh, en)
