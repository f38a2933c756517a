/** Verifying identity with two organisations, one friendly step each, then registering this phone. */

import { api } from '../../services/api'
import type { NodeAddress } from '../../services/api-types'
import { deviceKey } from '../../services/device'
import { EMPTY_JOIN, joinDraft } from '../../services/drafts'
import { sentenceOfSettlement } from '../../services/faults'
import { NetworkError } from '../../services/http'
import { ATTESTATIONS, attest, bindDevice, sendCode, whoAmI } from '../../services/identity'
import { nodesInOrder } from '../../services/nodes'
import { serverNow } from '../../services/records'
import { store } from '../../services/store'
import { estate } from '../../services/trust'
import { fill } from '../../texts'
import { definePage, replaceWith } from '../../page'

type Stage = 'claim' | 'code' | 'binding' | 'done'

definePage({
  title: (texts) => texts.join.title,
  sections: ['join'],
  keeps: true,
  data: {
    stage: 'claim' as Stage,
    name: '',
    room: '',
    phone: '',
    code: '',
    nodeName: '',
    number: 1,
    stepText: '',
    codeTitle: '',
    codeHint: '',
    verified: [] as string[],
    canBindOne: false,
    steps: [1, 2, 3],
    stepNow: 1,
    doneText: '',
  },
  node: undefined as NodeAddress | undefined,

  async load() {
    const { privacy } = await estate()
    if (store.read('privacy')?.version !== privacy.version) return replaceWith('pages/privacy/index', { then: 'join' })
    const { name, room, phone } = joinDraft()
    this.setData({ name, room, phone })
    this.show('claim')
    if (joinDraft().attested.length > 0) await this.run(() => this.askNext())
  },

  typed(event: ValueEvent) {
    const field = event.currentTarget.dataset['field'] as 'name' | 'room' | 'phone' | 'code'
    this.setData({ [field]: event.detail.value })
    if (field !== 'code') store.write('join', { ...joinDraft(), [field]: event.detail.value })
  },

  begin() {
    const { name, phone, room } = this.data
    const texts = this.texts.join
    if (name.trim() === '') return this.setData({ note: texts.badName })
    if (room.trim() === '') return this.setData({ note: texts.badRoom })
    if (!/^1\d{10}$/.test(phone.replace(/\s/g, ''))) return this.setData({ note: texts.badPhone })
    return this.run(() => this.askNext())
  },

  /** Asks the next organisation that has not vouched yet; one that cannot be reached is passed over. */
  async askNext() {
    const done = joinDraft().attested.map((one) => one.attestation.node)
    if (done.length >= ATTESTATIONS) return this.bind()
    const open = (await nodesInOrder()).filter((node) => !done.includes(node.id))
    for (const node of open) {
      if (await this.sendTo(node)) return
    }
    if (done.length === 0) throw new NetworkError('no node')
    this.setData({ canBindOne: true, note: this.texts.join.oneOnly })
  },

  async sendTo(node: NodeAddress): Promise<boolean> {
    const { name, phone, room } = this.data
    try {
      await sendCode(node, { name: name.trim(), phone: phone.replace(/\s/g, ''), room: room.trim() })
    } catch (error) {
      if (error instanceof NetworkError) return false
      throw error
    }
    this.node = node
    this.show('code')
    return true
  },

  again() {
    const node = this.node
    return node ? this.run(async () => void (await this.sendTo(node))) : undefined
  },

  check() {
    const node = this.node
    const code = this.data.code.replace(/\s/g, '')
    if (!node || !/^\d{6}$/.test(code)) return this.setData({ note: this.texts.join.badCode })
    return this.run(async () => {
      await attest(node, this.data.phone.replace(/\s/g, ''), code)
      await this.askNext()
    })
  },

  bindOne() {
    return this.run(() => this.bind())
  },

  async bind() {
    this.show('binding')
    const settlement = await bindDevice(this.texts.join.device)
    const sentence = sentenceOfSettlement(settlement, this.texts)
    if (settlement.kind === 'refused' || settlement.kind === 'distrusted') {
      // What the organisations said no longer helps: begin again, with what was typed.
      store.write('join', { ...EMPTY_JOIN, name: this.data.name, room: this.data.room, phone: this.data.phone })
      this.show('claim')
      return this.setData({ note: sentence })
    }
    await whoAmI().catch(() => undefined)
    this.show('done')
    this.setData({ doneText: sentence || (await this.doneText()) })
  },

  /** What this phone may do now: beside or after another one, or with one organisation's word, it does not vote yet. */
  async doneText(): Promise<string> {
    const { devices, join } = this.texts
    const [{ kid }, page] = await Promise.all([deviceKey(), api.devices().catch(() => undefined)])
    const device = page?.items.find((one) => one.kid === kid)
    if (device && device.attested_by.length < ATTESTATIONS) return devices.oneOrganisation
    return device && device.votes_from_ms > serverNow() ? join.doneWait : join.doneText
  },

  start() {
    wx.switchTab({ url: '/pages/home/index' })
  },

  show(stage: Stage) {
    const texts = this.texts.join
    const attested = joinDraft().attested
    const number = attested.length + 1
    const stepNow = stage === 'claim' ? 1 : stage === 'code' ? Math.min(number + 1, 3) : 4
    const nodeName = this.node?.name ?? ''
    this.setData({
      stage,
      number,
      stepNow,
      nodeName,
      code: '',
      canBindOne: false,
      note: '',
      stepText: fill(this.texts.common.step, { n: Math.min(stepNow, 3), all: 3 }),
      codeTitle: fill(texts.codeTitle, { n: number, node: nodeName }),
      codeHint: fill(texts.codeHint, { phone: this.data.phone }),
    })
    void this.showVerified()
  },

  async showVerified() {
    const { nodes } = await estate()
    const nameOf = (id: string) => nodes.find((node) => node.id === id)?.name ?? id
    const names = joinDraft().attested.map((one) => nameOf(one.attestation.node))
    this.setData({ verified: names.map((node) => fill(this.texts.join.verified, { node })) })
  },
})
