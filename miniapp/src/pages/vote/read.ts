/** Step three, read: the whole text and every question, before any choice is offered. */

import { api } from '../../services/api'
import { isRehearsal } from '../../services/ballots'
import { serverNow } from '../../services/records'
import { settings } from '../../services/settings'
import { fill } from '../../texts'
import { formatTime } from '../../texts/format'
import { definePage, go } from '../../page'
import { stepData, VOTE_STEPS } from './steps'

definePage({
  title: (texts) => texts.vote.readTitle,
  sections: ['vote', 'motions'],
  keeps: true,
  data: { title: '', text: '', isOpen: false, isRehearsal: false, when: '', reason: '', questions: [] as { id: string; text: string }[], ...VOTE_STEPS },

  async load() {
    const motion = await api.motion(this.query['motion']!)
    const questions = motion.questions.map(({ id, text }) => ({ id, text }))
    const { motions } = this.texts
    const time = formatTime(settings().language, motion.opens_ms, serverNow())
    const when = motion.state === 'cancelled' ? motions.cancelled : fill(motions.from, { time })
    const { reason, text, title } = motion
    this.setData({ title, text, isOpen: motion.state === 'open', isRehearsal: isRehearsal(motion), when, reason, questions, ...stepData(3, this.texts) })
  },

  next() {
    go('pages/vote/choose', { motion: this.query['motion']!, n: '0' })
  },
})
