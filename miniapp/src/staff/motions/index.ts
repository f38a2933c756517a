/** What the committee has to sign, and what it may still extend or cancel. */

import { api } from '../../services/api'
import type { MotionSummary } from '../../services/api-types'
import { serverNow } from '../../services/records'
import { settings } from '../../services/settings'
import { fill, type Texts } from '../../texts'
import { formatTime } from '../../texts/format'
import { definePage } from '../../page'

const STATES = ['proposed', 'announced', 'open'] as const
type State = (typeof STATES)[number]

interface Row {
  readonly id: string
  readonly title: string
  readonly url: string
  readonly when: string
}

interface Group {
  readonly state: State
  readonly name: string
  readonly rows: readonly Row[]
}

definePage({
  title: (texts) => texts.decide.title,
  sections: ['decide'],
  data: { groups: [] as Group[] },

  async load() {
    const { items } = await api.motions()
    const groups = STATES.map((state) => ({
      state,
      name: this.texts.motionState[state],
      rows: items.filter((one) => one.state === state).map((one) => rowOf(one, this.texts)),
    }))
    this.setData({ groups: groups.filter((group) => group.rows.length > 0) })
  },
})

function rowOf({ close_ms, id, opens_ms, state, title }: MotionSummary, { decide }: Texts): Row {
  const [text, timeMs] = state === 'open' ? [decide.closes, close_ms] : [decide.opens, opens_ms]
  const when = fill(text, { time: formatTime(settings().language, timeMs, serverNow()) })
  return { id, title, url: `/staff/decide/index?motion=${id}`, when }
}
