/** Step two, verify: as whom, and for which home, this person is about to vote. */

import { api } from '../../services/api'
import type { Motion, SessionInfo, Turnout } from '../../services/api-types'
import { hasVoted, isRehearsal, isVotedByOther } from '../../services/ballots'
import { isMember, whoAmI } from '../../services/identity'
import { serverNow } from '../../services/records'
import { settings } from '../../services/settings'
import { fill, type Texts } from '../../texts'
import { formatArea, formatFraction, formatNumber, formatTime } from '../../texts/format'
import { definePage, go, replaceWith } from '../../page'
import { stepData, VOTE_STEPS } from './steps'

interface Home {
  readonly id: string
  readonly label: string
  readonly area: string
}

definePage({
  title: (texts) => texts.vote.verifyTitle,
  sections: ['vote', 'motions'],
  data: {
    title: '',
    until: '',
    name: '',
    weight: '',
    homes: [] as Home[],
    isRehearsal: false,
    canVote: false,
    whyNot: '',
    hasVoted: false,
    heads: '',
    area: '',
    share: 0,
    shareText: '',
    ...VOTE_STEPS,
  },

  async load() {
    if (!isMember()) return replaceWith('pages/join/index')
    const [session, motion] = await Promise.all([whoAmI(), api.motion(this.query['motion']!)])
    this.setData({
      ...voterData(session, motion, this.texts),
      ...turnoutData(motion.turnout, this.texts),
      ...stepData(2, this.texts),
    })
  },

  next() {
    go('pages/vote/read', { motion: this.query['motion']! })
  },
})

function voterData(session: SessionInfo, motion: Motion, texts: Texts) {
  const time = formatTime(settings().language, motion.close_ms, serverNow())
  return {
    title: motion.title,
    isRehearsal: isRehearsal(motion),
    until: fill(texts.vote.until, { time }),
    name: session.name,
    homes: session.units.map((unit) => homeOf(unit, texts)),
    weight: weightText(motion.mine, texts),
    canVote: motion.mine.length > 0 && motion.state === 'open' && !isVotedByOther(motion.mine),
    whyNot: isVotedByOther(motion.mine) ? texts.vote.votedByOther : texts.vote.noRight,
    hasVoted: hasVoted(motion.mine) && !isVotedByOther(motion.mine),
  }
}

/** What the frozen roll counts for this voter: heads and their area, whatever was bought or sold since. */
function weightText(mine: Motion['mine'], texts: Texts): string {
  const areas = new Map(mine.map((one) => [one.position, one.area_cm2]))
  if (areas.size === 0) return ''
  const area = [...areas.values()].reduce((sum, one) => sum + one, 0)
  return fill(texts.vote.heads, { n: areas.size, area: formatArea(area) })
}

function homeOf(unit: SessionInfo['units'][number], texts: Texts): Home {
  return { id: unit.id, label: unit.label, area: fill(texts.vote.area, { area: formatArea(unit.area_cm2) }) }
}

function turnoutData(turnout: Turnout, texts: Texts) {
  const { heads, heads_total, area_cm2, area_total_cm2 } = turnout
  return {
    heads: fill(texts.vote.turnoutHeads, { n: formatNumber(heads), all: formatNumber(heads_total) }),
    area: fill(texts.vote.turnoutArea, { n: formatArea(area_cm2), all: formatArea(area_total_cm2) }),
    share: heads_total > 0 ? Math.floor((heads / heads_total) * 100) : 0,
    shareText: formatFraction(heads, heads_total),
  }
}
