/** Officers add people who own no home, from their document, so that they can be attested and given a role. */

import type { AddedPersonView, PersonAdded } from '../../services/generated'
import { ApiProblem } from '../../services/http'
import { ownOrganisation } from '../../services/offices'
import { officeApi } from '../../services/office-api'
import { fill, type Texts } from '../../texts'
import { ask, definePage } from '../../page'

type Kind = PersonAdded['document_kind']

const KINDS: readonly Kind[] = [
  'resident_card',
  'passport',
  'hong_kong_macao_permit',
  'taiwan_permit',
  'foreign_resident_card',
  'company_code',
]
const EMPTY = { name: '', kind: KINDS[0]!, number: '', phone: '' }

definePage({
  title: (texts) => texts.people.title,
  sections: ['people'],
  keeps: true,
  data: {
    rows: [] as { id: string; name: string; hint: string }[],
    kinds: [] as { id: Kind; text: string }[],
    ...EMPTY,
    doneText: '',
  },
  organisation: '',

  async load() {
    this.organisation = await ownOrganisation('officer')
    this.setData({ kinds: KINDS.map((id) => ({ id, text: this.texts.people[id] })) })
    await this.refresh()
  },

  async refresh(): Promise<void> {
    const { items } = await officeApi.addedPeople(this.organisation)
    this.setData({ rows: items.map((one) => rowOf(one, this.texts.people)) })
  },

  typed(event: ValueEvent) {
    const field = event.currentTarget.dataset['field'] as 'name' | 'number' | 'phone'
    this.setData({ [field]: event.detail.value, note: '', doneText: '' })
  },

  choose(event: ValueEvent) {
    this.setData({ kind: event.detail.value as Kind, note: '', doneText: '' })
  },

  send() {
    const { kind, name, number, phone } = this.data
    const texts = this.texts.people
    if (name.trim() === '') return this.setData({ note: texts.badName })
    if (number.trim() === '') return this.setData({ note: texts.badNumber })
    return this.run(async () => {
      const person = { name: name.trim(), document_kind: kind, document_number: number.trim(), phone: phone.trim() }
      const note = await this.add(person)
      if (note !== '') return this.setData({ note })
      this.setData({ ...EMPTY, doneText: fill(texts.done, { name: person.name }) })
      await this.refresh()
    })
  },

  /** Adds; the sentence of the field that is wrong, or ''. */
  async add(person: PersonAdded): Promise<string> {
    try {
      await officeApi.addPerson(this.organisation, person)
      return ''
    } catch (error) {
      if (error instanceof ApiProblem && (error.code === 'person_details_bad' || error.code === 'malformed'))
        return faultOf(error.field ?? '', this.texts.people)
      throw error
    }
  },

  remove(event: TapEvent) {
    const { id, name } = this.data.rows[Number(event.currentTarget.dataset['at'])]!
    const { common, people } = this.texts
    return this.run(async () => {
      if (!(await ask(people.remove, fill(people.removeAsk, { name }), people.remove, common.cancel))) return
      await officeApi.removePerson(this.organisation, id)
      this.setData({ doneText: people.removed })
      await this.refresh()
    })
  },
})

function rowOf(one: AddedPersonView, texts: Texts['people']) {
  const document = (texts as Record<string, string>)[one.document_kind] ?? one.document_kind
  const phone = one.phone_tail === '' ? texts.noPhone : fill(texts.tail, { tail: one.phone_tail })
  return { id: one.member, name: one.name, hint: [`${document} ${one.document_masked}`, phone].join(' · ') }
}

function faultOf(field: string, texts: Texts['people']): string {
  if (field.endsWith('name')) return texts.badName
  return field.endsWith('phone') ? texts.badPhone : texts.badNumber
}
