/** Step three, read: the whole text and every question, before any choice is offered. */

import { api } from '../../services/api'
import { definePage, go } from '../../page'
import { stepData, VOTE_STEPS } from './steps'

definePage({
  title: (texts) => texts.vote.readTitle,
  sections: ['vote'],
  keeps: true,
  data: { title: '', text: '', questions: [] as { id: string; text: string }[], ...VOTE_STEPS },

  async load() {
    const motion = await api.motion(this.query['motion']!)
    const questions = motion.questions.map(({ id, text }) => ({ id, text }))
    this.setData({ title: motion.title, text: motion.text, questions, ...stepData(3, this.texts) })
  },

  next() {
    go('pages/vote/choose', { motion: this.query['motion']!, n: '0' })
  },
})
