/**
 * A field for a text of several lines that says while typing how much room is left. It never cuts: what is too long stays
 * as it was written or pasted, until its writer has shortened it.
 */

import { lengthOf, tidyText } from '../../core/limit'
import { fill, type Texts } from '../../texts'

/** Room that is worth mentioning. */
const NEAR = 100

Component({
  properties: { s: Object, label: String, mark: String, value: String, placeholder: String, max: Number, short: Boolean },
  data: { room: '', isOver: false },
  observers: {
    'value, max'(value: string, max: number) {
      this.measure(value, max)
    },
  },
  methods: {
    typed(event: ValueEvent) {
      const value = tidyText(event.detail.value)
      this.measure(value, Number(this.data['max']))
      this.triggerEvent('typed', { value }, {})
    },

    measure(value: string, max: number) {
      const left = max - lengthOf(value)
      const texts = this.data['s'] as Texts['common'] | undefined
      const words = left < 0 ? texts?.lettersOver : left <= NEAR ? texts?.lettersLeft : ''
      this.setData({ room: fill(words ?? '', { n: Math.abs(left) }), isOver: left < 0 })
    },
  },
})
