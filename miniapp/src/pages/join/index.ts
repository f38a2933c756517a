/**
 * Verifying identity with two organisations, one friendly step each, then registering this phone. Three ways lead there,
 * each chosen anew for each organisation: a code by text message, WeChat's word, a document at the counter.
 */

import type { NodeAddress } from '../../services/api-types'
import { EMPTY_JOIN, joinDraft } from '../../services/drafts'
import { sentenceOfSettlement } from '../../services/faults'
import { ApiProblem, NetworkError } from '../../services/http'
import {
  ATTESTATIONS,
  attest,
  bindDevice,
  isMember,
  ownDevice,
  sendCode,
  vouchedFor,
  whoAmI,
} from '../../services/identity'
import { nodesInOrder } from '../../services/nodes'
import { attestByWechat, offersWechat } from '../../services/proofs'
import { serverNow } from '../../services/records'
import { store } from '../../services/store'
import { estate } from '../../services/trust'
import { fill } from '../../texts'
import { definePage, go, replaceWith } from '../../page'

type Stage = 'claim' | 'code' | 'binding' | 'done'

definePage({
  title: (texts) => texts.join.title,
  sections: ['join'],
  keeps: true,
  data: {
    stage: 'claim' as Stage,
    name: '',
    room: '',
    ownsNone: false,
    phone: '',
    code: '',
    nodeName: '',
    hasOther: false,
    number: 1,
    stepText: '',
    codeTitle: '',
    codeHint: '',
    hasWechat: false,
    wechatText: '',
    secondText: '',
    verified: [] as string[],
    canBindOne: false,
    steps: [1, 2, 3],
    stepNow: 1,
    doneText: '',
  },
  node: undefined as NodeAddress | undefined,
  /** Organisations that have vouched for this phone, in the draft or on the ledger. */
  done: [] as readonly string[],

  async load(): Promise<void> {
    const { privacy } = await estate()
    if (store.read('privacy')?.version !== privacy.version) return replaceWith('pages/privacy/index', { then: 'join' })
    const { name, room, ownsNone, phone } = joinDraft()
    this.setData({ name, room, ownsNone, phone, hasWechat: offersWechat() })
    this.done = await vouchedFor()
    if (this.done.length < ATTESTATIONS || joinDraft().attested.length > 0) return this.show('claim')
    // Nothing is left to do for this phone.
    await this.show('done')
    this.setData({ doneText: await this.doneText() })
  },

  /** Comes back from the counter with another organisation's word, perhaps the last one. */
  shown(): void {
    if (this.data.stage !== 'claim' || joinDraft().attested.length === 0) return
    void this.run(() => this.goOn())
  },

  typed(event: ValueEvent) {
    const field = event.currentTarget.dataset['field'] as 'name' | 'room' | 'phone' | 'code'
    this.setData({ [field]: event.detail.value })
    if (field !== 'code') store.write('join', { ...joinDraft(), [field]: event.detail.value })
  },

  /** Who owns no home cannot name one. */
  tickNone(event: ValueEvent<readonly string[]>) {
    const ownsNone = event.detail.value.length > 0
    this.setData({ ownsNone, note: '' })
    store.write('join', { ...joinDraft(), ownsNone })
  },

  begin() {
    const { name, ownsNone, phone, room } = this.data
    const texts = this.texts.join
    if (name.trim() === '') return this.setData({ note: texts.badName })
    if (!ownsNone && room.trim() === '') return this.setData({ note: texts.badRoom })
    if (!/^1\d{10}$/.test(phone.replace(/\s/g, ''))) return this.setData({ note: texts.badPhone })
    return this.run(() => this.askNext())
  },

  async openNodes(): Promise<readonly NodeAddress[]> {
    return (await nodesInOrder()).filter((node) => !this.done.includes(node.id))
  },

  /** Asks the next organisation, after `last`, that has not vouched yet; one that cannot be reached is passed over. */
  async askNext(last?: NodeAddress): Promise<void> {
    const open = await this.openNodes()
    const at = open.findIndex((node) => node.id === last?.id) + 1
    for (const node of [...open.slice(at), ...open.slice(0, at)]) {
      if (await this.sendTo(node)) return
    }
    this.missAll()
  },

  missAll(): void {
    if (joinDraft().attested.length === 0) throw new NetworkError('no node')
    this.setData({ canBindOne: true, note: this.texts.join.oneOnly })
  },

  async sendTo(node: NodeAddress): Promise<boolean> {
    const { name, ownsNone, phone, room } = this.data
    try {
      const home = ownsNone ? '' : room.trim()
      await sendCode(node, { name: name.trim(), phone: phone.replace(/\s/g, ''), room: home })
    } catch (error) {
      if (isAway(error)) return false
      throw error
    }
    this.node = node
    await this.show('code')
    return true
  },

  again() {
    const node = this.node
    return node ? this.run(async () => void (await this.sendTo(node))) : undefined
  },

  /** No code comes, perhaps this organisation does not know him, which it never says. */
  another() {
    return this.run(() => this.askNext(this.node))
  },

  check() {
    const node = this.node
    const code = this.data.code.replace(/\s/g, '')
    if (!node || !/^\d{6}$/.test(code)) return this.setData({ note: this.texts.join.badCode })
    return this.run(async () => {
      await attest(node, this.data.phone.replace(/\s/g, ''), code)
      this.done = await vouchedFor()
      return this.done.length >= ATTESTATIONS ? this.bind() : this.askNext()
    })
  },

  /** Bound by WeChat's button: the person said yes or no in WeChat's own window. */
  gotPhone(event: PhoneNumberEvent) {
    const { code } = event.detail
    if (!code) return this.setData({ note: this.texts.join.wechatRefused })
    return this.run(() => this.showWechat(code))
  },

  /** A node that is away has not spent the codes; any other answer may have. */
  async showWechat(code: string): Promise<void> {
    for (const node of await this.openNodes()) {
      try {
        await attestByWechat(node, code)
        return this.goOn()
      } catch (error) {
        if (!isAway(error)) throw error
      }
    }
    this.missAll()
  },

  counter() {
    go('pages/join/counter')
  },

  claim(): Promise<void> {
    return this.show('claim')
  },

  /** To the next organisation, or to the end. */
  async goOn(): Promise<void> {
    this.done = await vouchedFor()
    return this.done.length >= ATTESTATIONS ? this.bind() : this.show('claim')
  },

  bindOne() {
    return this.run(() => this.bind())
  },

  async bind(): Promise<void> {
    await this.show('binding')
    const settlement = await bindDevice(this.texts.join.device)
    const sentence = sentenceOfSettlement(settlement, this.texts)
    if (settlement.kind === 'refused' || settlement.kind === 'distrusted') {
      // What the organisations said no longer helps: begin again, with what was typed.
      const { name, ownsNone, phone, room } = this.data
      store.write('join', { ...EMPTY_JOIN, name, ownsNone, phone, room })
      this.done = []
      await this.show('claim')
      return this.setData({ note: sentence })
    }
    await whoAmI().catch(() => undefined)
    await this.show('done')
    this.setData({ doneText: sentence || (await this.doneText()) })
  },

  /** What this phone may do now: beside or after another one, or with one organisation's word, it does not vote yet. */
  async doneText(): Promise<string> {
    const { devices, join } = this.texts
    const device = await ownDevice()
    if (device && device.attested_by.length < ATTESTATIONS) return devices.oneOrganisation
    return device && device.votes_from_ms > serverNow() ? join.doneWait : join.doneText
  },

  start() {
    wx.switchTab({ url: '/pages/home/index' })
  },

  async show(stage: Stage): Promise<void> {
    const texts = this.texts.join
    const number = Math.min(this.done.length, 1) + 1
    const stepNow = stage === 'claim' ? number : stage === 'code' ? Math.min(number + 1, 3) : 4
    const open = await this.openNodes()
    const next = open[0]?.name ?? ''
    const nodeName = this.node?.name ?? ''
    this.setData({
      stage,
      number,
      stepNow,
      nodeName,
      hasOther: open.length > 1,
      code: '',
      wechatText: number === 1 ? texts.wechat : fill(texts.wechatBy, { node: next }),
      secondText: number === 1 ? '' : fill(texts.secondLead, { node: next }),
      // With one word a phone reports and pays already; the other can be got another day.
      canBindOne: stage === 'claim' && joinDraft().attested.length > 0 && !isMember(),
      note: '',
      stepText: fill(this.texts.common.step, { n: Math.min(stepNow, 3), all: 3 }),
      codeTitle: fill(texts.codeTitle, { n: number, node: nodeName }),
      codeHint: fill(texts.codeHint, { phone: this.data.phone }),
      verified: await this.verifiedBy(),
    })
  },

  async verifiedBy(): Promise<string[]> {
    const { nodes } = await estate()
    const nameOf = (id: string) => nodes.find((node) => node.id === id)?.name ?? id
    return this.done.map((id) => fill(this.texts.join.verified, { node: nameOf(id) }))
  },
})

/** Nobody is there, or this organisation does not offer this way: the next one may. */
function isAway(error: unknown): boolean {
  const isOff = error instanceof ApiProblem && (error.code === 'wechat_off' || error.code === 'phone_codes_off')
  return error instanceof NetworkError || isOff
}
