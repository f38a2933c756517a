/** Giving points for an activity: to whom (found by name or home), how many, for what. */

import { api } from '../../services/api'
import { sentenceOfSettlement } from '../../services/faults'
import { organisationOf, whoAmI } from '../../services/identity'
import type { Settlement } from '../../services/outbox'
import { AMOUNT_MAX, grantPoints, isCodeWord, type Grant } from '../../services/points'
import { fill } from '../../texts'
import { outcomeTitle } from '../../texts/outcomes'
import { definePage } from '../../page'

const EXAMPLE = { programme: 'volunteer', activity: 'tree-day-2026' }

definePage({
  title: (texts, { outcome }) => (outcome ? outcomeTitle(outcome, texts.common, texts.grant.done) : texts.grant.title),
  sections: ['grant'],
  keeps: true,
  data: {
    wanted: '',
    people: [] as { id: string; text: string }[],
    member: '',
    amount: '',
    programme: '',
    activity: '',
    reason: '',
    outcome: '' as '' | Settlement['kind'],
    outcomeText: '',
    receipt: '',
    programmeHint: '',
    activityHint: '',
    programmeBad: false,
    activityBad: false,
  },

  load() {
    const { nameHint, onceHint } = this.texts.grant
    this.setData({
      programmeHint: fill(nameHint, { example: EXAMPLE.programme }),
      activityHint: `${fill(nameHint, { example: EXAMPLE.activity })}${onceHint}`,
    })
  },

  typed(event: ValueEvent) {
    const field = event.currentTarget.dataset['field'] as keyof Grant | 'wanted'
    this.setData({ [field]: event.detail.value, note: '' })
    if (field === 'programme' || field === 'activity') this.judge(field)
  },

  /** While it is typed: a wrong sign is said at once, not after the form is full. */
  judge(field: 'programme' | 'activity') {
    const word = this.data[field].trim()
    this.setData({ [`${field}Bad`]: word !== '' && !isCodeWord(word) })
  },

  find() {
    return this.run(async () => {
      const { roles } = await whoAmI()
      const { items } = await api.people(organisationOf(roles, 'staff'), this.data.wanted.trim())
      const people = items.map((one) => ({ id: one.member, text: [one.name, ...one.rooms].join(' · ') }))
      const only = people.length === 1 ? people[0]!.id : ''
      this.setData({ people, member: only, note: people.length === 0 ? this.texts.grant.nobody : '' })
    })
  },

  choose(event: ValueEvent) {
    this.setData({ member: event.detail.value, note: '' })
  },

  send() {
    const { member, reason } = this.data
    const [programme, activity] = [this.data.programme.trim(), this.data.activity.trim()]
    const amount = Number(this.data.amount)
    const isFilled = [member, programme, activity, reason].every((text) => text.trim() !== '')
    if (!isFilled || !Number.isInteger(amount) || amount < 1 || amount > AMOUNT_MAX) {
      return this.setData({ note: this.texts.grant.bad })
    }
    if (!isCodeWord(programme) || !isCodeWord(activity)) return this.setData({ note: this.texts.grant.badName })
    return this.run(async () => {
      const settlement = await grantPoints({ amount, member: member.trim(), programme, activity, reason }, reason)
      if (settlement.kind === 'refused') return this.setData({ note: sentenceOfSettlement(settlement, this.texts) })
      const outcomeText = sentenceOfSettlement(settlement, this.texts) || this.texts.common.recorded
      this.setData({ outcome: settlement.kind, outcomeText, receipt: settlement.id })
      this.retitle()
    })
  },

  done() {
    wx.navigateBack({})
  },
})
