/** Finds a person in one organisation's own copy of the roll and lets one be chosen; tells the page of every change. */

import { api } from '../../services/api'
import { sentenceOf } from '../../services/faults'
import { settings } from '../../services/settings'
import { fill, textsOf, type Texts } from '../../texts'

interface Row {
  readonly id: string
  readonly name: string
  readonly text: string
}

Component({
  properties: { s: Object, label: String, organisation: String },
  data: { wanted: '', people: [] as Row[], chosen: '', note: '', busy: false },
  methods: {
    typed(event: ValueEvent) {
      this.setData({ wanted: event.detail.value, note: '' })
    },

    async find() {
      const wanted = this.data.wanted.trim()
      if (wanted === '' || this.data.busy) return
      this.setData({ busy: true, note: '' })
      try {
        this.show(await this.ask(wanted))
      } catch (error) {
        this.setData({ note: sentenceOf(error, textsOf(settings().language)) })
      } finally {
        this.setData({ busy: false })
      }
    },

    async ask(wanted: string): Promise<Row[]> {
      const { tail } = this.words()
      const { items } = await api.people(String(this.data['organisation']), wanted)
      return items.map((one) => {
        const phone = one.phone_tail === '' ? [] : [fill(tail, { tail: one.phone_tail })]
        return { id: one.member, name: one.name, text: [one.name, ...one.rooms, ...phone].join(' · ') }
      })
    },

    words(): Texts['finder'] {
      return this.data['s'] as Texts['finder']
    },

    show(people: Row[]) {
      this.setData({ people, note: people.length === 0 ? this.words().none : '' })
      this.pick(people.length === 1 ? people[0]!.id : '')
    },

    choose(event: ValueEvent) {
      this.pick(event.detail.value)
    },

    pick(id: string) {
      this.setData({ chosen: id })
      const name = this.data.people.find((one) => one.id === id)?.name ?? ''
      this.triggerEvent('person', { member: id, name }, {})
    },
  },
})
