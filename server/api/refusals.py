"""What each refusal of a record says to people, in Chinese and English, by its stable code.

One code means one thing in every kind that can refuse with it. A test proves that every refusal of every kind is here.
"""

from __future__ import annotations

REFUSALS: dict[str, tuple[str, str]] = {
    # common to all kinds (decisions 14)
    "nonce_conflict": (
        "这条内容已提交过另一个版本，请重新填写。",
        "Another version of this was recorded already; please begin again.",
    ),
    "expired": (
        "提交得太晚，内容已失效，请重新签名提交。",
        "This arrived too late and has expired; please sign it again.",
    ),
    "not_yet_valid": ("手机时间不对，请校准后重试。", "The phone's clock is ahead; please correct it and try again."),
    "device_unknown": ("这台设备没有绑定到您的身份。", "This device is not tied to you."),
    "device_revoked": ("这台设备已被停用。", "This device has been revoked."),
    "role_missing": ("您没有办理此事的权限。", "You do not hold the role that this needs."),
    # device.bind, device.revoke
    "key_of_another": ("这把设备钥匙属于另一个人。", "This key belongs to somebody else."),
    "attestation_invalid": (
        "身份核实的签名不正确，请重新核实。",
        "The confirmation of your identity does not hold; please have it made again.",
    ),
    "attestation_expired": (
        "身份核实已过期，请重新核实。",
        "The confirmation of your identity has expired; please have it made again.",
    ),
    "too_many_devices": (
        "绑定的设备太多，请先停用一台旧设备。",
        "Too many devices are bound; revoke an old one first.",
    ),
    "device_not_found": ("没有找到这台设备。", "This device was not found."),
    "already_revoked": ("这台设备已经停用过了。", "This device was revoked before."),
    # role.grant, role.revoke
    "organisation_unknown": (
        "没有这个单位，请选择参与本小区平台的单位。",
        "No such organisation takes part here; please choose one that does.",
    ),
    "role_already_held": ("此人已有这个角色。", "This member holds the role already."),
    "role_not_held": ("此人没有这个角色。", "This member does not hold the role."),
    "already_approved": ("您的单位已经签过了。", "Your organisation has signed this before."),
    # roll.publish, roll.confirm
    "roll_part_out_of_order": ("名册的各部分必须按顺序公布。", "The parts of a roll must be published in order."),
    "roll_differs": ("名册与已公布的不一致。", "The roll differs from what was published."),
    "roll_not_found": ("没有这份名册，或还没有公布完。", "This roll is not known, or not published completely."),
    "roll_not_in_force": (
        "这份名册还没有得到足够单位的确认。",
        "This roll has not been confirmed by enough organisations.",
    ),
    # motion.open
    "matter_not_found": ("没有这类表决事项。", "There is no such matter in the rule pack."),
    "closes_too_soon": ("截止时间太近，业主来不及阅读。", "The vote would close too soon for owners to read it."),
    "questions_malformed": (
        "题目或选项不符合规定：每题须有同意、反对、弃权。",
        "Questions must offer for, against and abstain, or what the matter allows.",
    ),
    # ballot.cast
    "motion_not_found": ("没有这项表决。", "This vote is not known."),
    "motion_closed": ("表决已经截止。", "This vote is closed."),
    "question_not_found": ("没有这道题。", "This question is not part of the vote."),
    "not_on_roll": (
        "您不在这项表决的业主名册中，请联系工作人员。",
        "You are not on the roll of this vote; please ask staff.",
    ),
    "device_not_verified": (
        "这台设备还需要另一家单位核实后才能投票。",
        "Another organisation must confirm this device before it can vote.",
    ),
    "device_too_new": (
        "新绑定的设备 24 小时后才能投票，也可到两家单位当面核实。",
        "A newly bound device votes after 24 hours, or once two organisations have seen you in person.",
    ),
    "ballot_already_cast": ("您家这一题已经投过票了。", "Your home has voted on this question already."),
    "replaced_ballot_not_found": ("没有找到要修改的那张选票。", "The ballot that this would replace was not found."),
    "commitment_already_used": (
        "这张选票的封存码已被用过，请重新投票。",
        "This ballot's sealed code was used before; please vote again.",
    ),
    # petition.*, motion.*, procedure.adopt
    "already_extended": (
        "这项表决已经延长过一次，不能再延长。",
        "This vote was extended once and cannot be extended again.",
    ),
    "already_signed": ("您已经签过了，不用再签。", "You have signed this already."),
    "motion_already_open": ("投票已经开始，名册不能再改。", "Voting has begun; its roll can no longer be changed."),
    "motion_differs": (
        "这项表决的内容与您看到的不一样，请刷新后再签。",
        "This vote is not the one you were shown; please refresh and sign again.",
    ),
    "motion_not_open": (
        "投票还没有开始，请在开始时间之后再投。",
        "Voting has not begun yet; please vote once it has opened.",
    ),
    "not_proposed": ("这项表决已经公告或取消，不用再签。", "This vote is announced or cancelled already."),
    "not_signed": (
        "您没有在这份联名上签名，或已经撤回。",
        "You have not signed this petition, or took your name back.",
    ),
    "notice_too_short": (
        "公告时间不够：开始投票前须至少公示十五天。请把开始时间改晚。",
        "The notice is too short: fifteen days must pass before voting begins. Choose a later start.",
    ),
    "petition_closed": (
        "这份联名已经够数或已有结果，不能再改。",
        "This petition has enough names or has been answered; it can no longer change.",
    ),
    "petition_not_found": ("没有找到这份联名。", "This petition is not known."),
    "photo_of_another": (
        "这张照片是别人提交过的，请自己重新拍一张。",
        "This picture was submitted by somebody else; please take your own.",
    ),
    "procedure_missing": (
        "小区还没有登记议事规则，不能发起正式表决。请先由业委会登记。",
        "The estate's rules of procedure are not entered yet; the committee must do that before a vote.",
    ),
    # delivery.confirm, ballot.contest, objection.answer, motion.execute
    "already_answered": ("这条异议已经答复过了。", "This objection has been answered already."),
    "already_contested": (
        "这张选票已经有人提出异议，正在处理。",
        "This ballot is contested already and is being looked at.",
    ),
    "ballot_not_found": ("没有找到您家这一题的选票。", "There is no ballot of your home for this question."),
    "execution_over": ("这项决定已经办结。", "This decision has been carried out already."),
    "motion_not_announced": (
        "这项表决不在公示或投票期间，不能登记送达。",
        "This vote is not announced or open; deliveries can no longer be entered.",
    ),
    "not_binding": ("演练没有法律效力，不需要执行。", "A rehearsal has no legal effect and is not carried out."),
    "not_final": ("结果还没有最终确认，或仍在异议期内。", "The result is not final yet, or can still be objected to."),
    "not_passed": ("这项表决没有通过，不能执行。", "This vote did not pass and is not carried out."),
    "objection_not_found": ("没有找到这条异议。", "This objection is not known."),
    "objections_over": ("现在不在异议期内，不能提出异议。", "Objections cannot be made now."),
    "own_ballot": (
        "这张票是您自己投的，截止前可以直接修改。",
        "You cast this ballot yourself; you can change it until the close.",
    ),
    "proof_missing": (
        "上门、邮寄和张贴公告需要照片为证。",
        "A picture is needed to prove a visit, a letter or a notice.",
    ),
    # ticket.*
    "category_unknown": ("没有这个诉求类别。", "There is no such category."),
    "ticket_not_found": ("没有这件诉求。", "This ticket is not known."),
    "ticket_state_differs": (
        "这件诉求的状态已经变了，请刷新后再试。",
        "This ticket has moved on meanwhile; please refresh.",
    ),
    "handler_not_staff": ("经办人必须是工作人员或业委会成员。", "The handler must be staff or of the committee."),
    "not_handler": ("您不是这件诉求的经办人。", "You do not handle this ticket."),
    "photo_missing": ("办结必须附上完工照片。", "A photo of the finished work is needed."),
    "not_yours": ("这不是您提交的诉求。", "This ticket is not yours."),
    "handler_cannot_confirm": ("经办人不能自己确认办结。", "Who handles a ticket cannot confirm it."),
    # points.*, offer.*, redemption.*
    "self_grant": ("不能给自己发放积分。", "Nobody grants points to himself."),
    "already_granted": ("这项活动的积分已经发放过了。", "Points for this activity were granted before."),
    "member_not_found": ("没有这位成员。", "This member is not known."),
    "over_grant_cap": ("一次发放的积分超过上限。", "This is more than one grant may give."),
    "offer_too_long": ("兑换码的有效期太长。", "The code would be valid for too long."),
    "offer_expired": ("兑换码已过期，请商家重新出示。", "The code has expired; ask the merchant for a new one."),
    "offer_exists": ("这个兑换码已经用过，请重新生成。", "This code exists already; make a new one."),
    "offer_not_found": ("没有这个兑换码。", "This code is not known."),
    "offer_already_redeemed": ("这个兑换码已经兑换过了。", "This code was redeemed already."),
    "amount_differs": ("积分数额与兑换码不一致。", "The amount differs from the code's."),
    "self_redemption": ("商家不能兑换自己的兑换码。", "A merchant cannot redeem his own code."),
    "balance_too_low": ("积分余额不足。", "There are not enough points."),
    "not_your_offer": ("这不是您店里的兑换码。", "This code is not of your shop."),
    "not_redeemed": ("这个兑换码还没有被兑换。", "This code has not been redeemed."),
    "already_undone": ("这笔兑换已经撤销过了。", "This redemption was undone already."),
    "undo_too_late": (
        "超过十分钟，不能撤销，请走结算更正。",
        "It is too late to undo this; correct it in the settlement.",
    ),
    # rules.activate
    "activation_pending": (
        "已有一版规则在等待生效，请等它生效后再试。",
        "Another version of the rules is about to begin; wait until it has.",
    ),
    "rules_not_next": ("规则只能逐版生效，请核对版本号。", "Versions of the rules begin one after the other."),
    "height_out_of_bounds": (
        "生效的区块高度已经过去或太远，请重新选择。",
        "That block is past or too far ahead; please choose another height.",
    ),
    "member_differs": ("住户与兑换记录不一致。", "The resident differs from the redemption's."),
    # members.change
    "no_operators": (
        "本账本创立时没有登记操作密钥，成员单位不能变更。",
        "Genesis names no operator keys: the members of this ledger cannot change.",
    ),
    "change_malformed": (
        "变更文件内容不正确，请用工具重新起草。",
        "The change is not drawn up correctly; make it with the tool.",
    ),
    "change_pending": (
        "上一次成员变更还没有完成，请稍后再提交。",
        "The change before has not begun yet; please wait for it.",
    ),
    "epoch_passed": (
        "这份变更是为另一届成员签的，请重新起草并签名。",
        "This was signed for another set of members; draw it up and sign it anew.",
    ),
    "not_one_step": (
        "一次只能增加、移除或更换一个单位。",
        "One change adds one member, removes one, or gives one new keys.",
    ),
    "policy_too_few": ("剩下的单位太少，不够规定的核实人数。", "Too few organisations would be left for the policy."),
    "id_used": ("这个单位代号以前用过，请换一个。", "This id was a member's before; take another one."),
    "key_used": ("这把密钥已经用过，请生成新的密钥。", "This key is or was in use; make a new one."),
    "signatures": (
        "签名不齐或不正确，需要全部留任单位和新单位的操作密钥签名。",
        "Every member that stays or joins must sign with its operator key, and nobody else.",
    ),
    "officer_known": (
        "新单位的负责人或其设备在本账本已有登记，请另选一人，用新的设备密钥。",
        "An officer of the new member, or his device, is known here already: name another person, with a new device key.",
    ),
}
