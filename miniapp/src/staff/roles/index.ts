/** Officers give and take roles: who holds which, what waits for another organisation, and a form for a new one. */

import type { Offices, RoleChange, RoleHeld } from '../../services/generated'
import { sentenceOfSettlement } from '../../services/faults'
import { ownOrganisation, signRole } from '../../services/offices'
import { officeApi } from '../../services/office-api'
import { estate } from '../../services/trust'
import { fill } from '../../texts'
import { heldRow, holds, personText, roleText, waitingChange, type HeldRow, type WaitingChange } from '../../texts/roles'
import { ask, definePage } from '../../page'

const GRANTABLE = ['staff', 'committee', 'merchant', 'auditor']

interface Subject {
  readonly member: string
  readonly name: string
  readonly role: string
  readonly organisation: string
}

definePage({
  title: (texts) => texts.roles.title,
  sections: ['roles', 'finder'],
  keeps: true,
  data: {
    organisation: '',
    waiting: [] as WaitingChange[],
    held: [] as HeldRow[],
    roles: [] as { id: string; text: string }[],
    places: [] as { id: string; text: string }[],
    member: '',
    name: '',
    role: '',
    place: '',
    doneText: '',
  },
  offices: undefined as Offices | undefined,
  names: {} as Readonly<Record<string, string>>,

  async load() {
    const organisation = await ownOrganisation('officer')
    const { nodes } = await estate()
    this.names = Object.fromEntries(nodes.map(({ id, name }) => [id, name]))
    this.setData({
      organisation,
      roles: GRANTABLE.map((id) => ({ id, text: roleText(id, this.texts) })),
      places: nodes.map(({ id, name }) => ({ id, text: name })),
    })
    await this.refresh()
  },

  async refresh(): Promise<void> {
    const { organisation } = this.data
    const offices = await officeApi.roles(organisation)
    const nameOf = (id: string) => this.names[id] ?? id
    this.offices = offices
    this.setData({
      waiting: offices.waiting.map((one, at) => waitingChange(one, at, organisation, nameOf, this.texts)),
      held: offices.held.map((one, at) => heldRow(one, at, nameOf, this.texts)),
    })
  },

  person(event: { readonly detail: { readonly member: string; readonly name: string } }) {
    this.setData({ ...event.detail, note: '', doneText: '' })
  },

  choose(event: ValueEvent) {
    const field = event.currentTarget.dataset['field'] as 'role' | 'place'
    this.setData({ [field]: event.detail.value, note: '', doneText: '' })
  },

  give() {
    const { member, name, place, role } = this.data
    const { finder, roles } = this.texts
    if (member === '') return this.setData({ note: finder.need })
    if (role === '') return this.setData({ note: roles.needRole })
    if (place === '') return this.setData({ note: roles.needOrganisation })
    return this.run(() => this.sign('grant', { member, name, role, organisation: place }))
  },

  agree(event: TapEvent) {
    const one: RoleChange = this.offices!.waiting[Number(event.currentTarget.dataset['at'])]!
    return this.run(() => this.sign(one.change, one))
  },

  take(event: TapEvent) {
    const one: RoleHeld = this.offices!.held[Number(event.currentTarget.dataset['at'])]!
    return this.run(() => this.sign('revoke', one))
  },

  async sign(change: 'grant' | 'revoke', one: Subject): Promise<void> {
    const { common, roles } = this.texts
    const words = { name: personText(one, this.texts), role: roleText(one.role, this.texts), node: this.names[one.organisation] ?? '' }
    const question = fill(change === 'grant' ? roles.grantAsk : roles.takeAsk, words)
    const warning = one.name === '' ? roles.unknownAsk : ''
    const title = change === 'grant' ? roles.grant : roles.take
    if (!(await ask(title, warning + question, change === 'grant' ? roles.give : roles.take, common.cancel))) return
    const settlement = await signRole(change, one, `${title} ${words.role}`)
    await this.refresh()
    if (settlement.kind !== 'accepted') return this.setData({ note: sentenceOfSettlement(settlement, this.texts), doneText: '' })
    const isDone = holds(this.offices!, change, one)
    const doneText =
      change === 'grant' ? (isDone ? roles.grantHolds : roles.grantDone) : isDone ? roles.revokeHolds : roles.revokeDone
    this.setData({ doneText, note: '', role: '', place: '' })
  },
})
