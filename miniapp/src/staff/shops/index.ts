/** The names under which customers see the merchants: given by the officer of one's own organisation, for its own node. */

import { lengthOf, tidyLine } from '../../core/limit'
import { api } from '../../services/api'
import type { ShopListed } from '../../services/api-types'
import { organisationOf, whoAmI } from '../../services/identity'
import { fill } from '../../texts'
import { shopText } from '../../texts/shops'
import { definePage } from '../../page'

const NAME_LENGTH_MAX = 30

interface Row {
  readonly id: string
  readonly label: string
  readonly name: string
  readonly isSaved: boolean
}

definePage({
  title: (texts) => texts.shops.title,
  sections: ['shops'],
  keeps: true,
  data: { rows: [] as Row[], isEmpty: false, nameMax: NAME_LENGTH_MAX },
  organisation: '',

  async load() {
    const { roles } = await whoAmI()
    this.organisation = organisationOf(roles, 'officer')
    const { items } = await api.shops(this.organisation)
    this.setData({ rows: items.map((shop) => this.rowOf(shop)), isEmpty: items.length === 0 })
  },

  rowOf({ id, keeper, name }: ShopListed): Row {
    const shop = [keeper, shopText(id, '', this.texts)].filter((part) => part !== '').join(' · ')
    const label = fill(this.texts.shops.name, { shop })
    return { id, label, name, isSaved: name !== '' }
  },

  change(id: string, change: Partial<Row>) {
    this.setData({ rows: this.data.rows.map((row) => (row.id === id ? { ...row, ...change } : row)), note: '' })
  },

  typed(event: ValueEvent) {
    this.change(String(event.currentTarget.dataset['id']), { name: event.detail.value, isSaved: false })
  },

  save(event: TapEvent) {
    const row = this.data.rows.find((one) => one.id === event.currentTarget.dataset['id'])
    if (!row) return undefined
    const name = tidyLine(row.name).trim()
    if (name === '' || lengthOf(name) > NAME_LENGTH_MAX) return this.setData({ note: this.texts.shops.bad })
    return this.run(async () => {
      const saved = await api.nameShop(this.organisation, row.id, name)
      this.change(row.id, { name: saved.name, isSaved: true })
    })
  },
})
