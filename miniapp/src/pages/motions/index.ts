/** Step one, find: what is being voted on. */

import { api } from '../../services/api'
import type { MotionSummary } from '../../services/api-types'
import { byUrgency, hasVoted } from '../../services/ballots'
import { serverNow } from '../../services/records'
import { settings } from '../../services/settings'
import { fill, type Texts } from '../../texts'
import { formatTime } from '../../texts/format'
import { definePage } from '../../page'

interface Row {
  readonly id: string
  readonly title: string
  readonly url: string
  readonly when: string
  readonly chip: string
  readonly tone: 'good' | 'wait' | ''
}

definePage({
  title: (texts) => texts.motions.title,
  sections: ['motions'],
  data: { announced: [] as Row[], open: [] as Row[], closed: [] as Row[], isEmpty: false },

  async load() {
    const { items } = await api.motions()
    const rowsOf = (motions: readonly MotionSummary[]) => motions.map((motion) => rowOf(motion, this.texts))
    const { announced, open, closed } = byUrgency(items)
    const isEmpty = announced.length + open.length + closed.length === 0
    this.setData({ announced: rowsOf(announced), open: rowsOf(open), closed: rowsOf(closed), isEmpty })
  },
})

function rowOf(motion: MotionSummary, texts: Texts): Row {
  const { id, state, title } = motion
  const timeOf = (timeMs: number) => formatTime(settings().language, timeMs, serverNow())
  if (state === 'announced') {
    const when = fill(texts.motions.from, { time: timeOf(motion.opens_ms) })
    return { id, title, url: `/pages/vote/read?motion=${id}`, when, chip: texts.motions.announced, tone: '' }
  }
  if (state === 'cancelled') {
    return { id, title, url: `/pages/vote/read?motion=${id}`, when: '', chip: texts.motions.cancelled, tone: '' }
  }
  const isOpen = motion.state === 'open'
  const when = fill(texts.motions.until, { time: timeOf(motion.close_ms) })
  const voted = hasVoted(motion.mine)
  const may = (motion.mine ?? []).length > 0
  const chip = !isOpen
    ? texts.motions.result
    : voted
      ? texts.motions.youVoted
      : may
        ? texts.motions.youMay
        : texts.motions.open
  const tone = !isOpen ? '' : voted ? 'good' : may ? 'wait' : ''
  const page = isOpen ? 'pages/vote/verify' : 'pages/result/index'
  return { id, title, url: `/${page}?motion=${id}`, when, chip, tone }
}
