/** Step four, choose: one question a screen. Every choice is kept at once, so going back loses nothing. */

import { api } from '../../services/api'
import type { Choice, Motion } from '../../services/api-types'
import { chooseDraft, choiceOf, togglePick } from '../../services/ballots'
import { ApiProblem } from '../../services/http'
import { fill } from '../../texts'
import { choiceText } from '../../texts/choices'
import { definePage, go } from '../../page'
import { stepData, VOTE_STEPS } from './steps'

definePage({
  title: (texts) => texts.vote.chooseTitle,
  sections: ['vote'],
  data: {
    number: '',
    text: '',
    choices: [] as readonly (Choice & { readonly isChosen: boolean })[],
    chosen: '',
    seats: 0,
    hint: '',
    ...VOTE_STEPS,
  },
  motion: undefined as Motion | undefined,

  async load() {
    const motion = await api.motion(this.query['motion']!)
    const question = motion.questions[this.at()]
    if (!question) throw new ApiProblem(404, 'not_found', '', {}, 0)
    this.motion = motion
    this.setData({
      number: fill(this.texts.vote.question, { n: this.at() + 1, all: motion.questions.length }),
      text: question.text,
      seats: question.seats,
      hint: question.seats > 0 ? fill(this.texts.vote.seatsHint, { n: question.seats }) : this.texts.vote.chooseHint,
      ...stepData(4, this.texts),
    })
    this.show(choiceOf(motion, question.id))
  },

  show(chosen: string) {
    const picked = new Set(chosen.split(','))
    const choices = this.motion!.questions[this.at()]!.choices
    this.setData({
      chosen,
      choices: choices.map((one) => ({ id: one.id, text: choiceText(one, this.texts), isChosen: picked.has(one.id) })),
    })
  },

  at(): number {
    return Number(this.query['n'] ?? 0)
  },

  choose(event: ValueEvent) {
    const question = this.motion!.questions[this.at()]!
    chooseDraft(this.motion!.id, question.id, event.detail.value)
    this.show(event.detail.value)
    this.setData({ note: '' })
  },

  /** In an election: a further candidate, or one less. Whoever abstains picks nobody, and the other way round. */
  pick(event: TapEvent) {
    const question = this.motion!.questions[this.at()]!
    const picked = togglePick(this.data.chosen, String(event.currentTarget.dataset['id']))
    if (picked.length > question.seats) {
      return this.setData({ note: fill(this.texts.vote.tooMany, { n: question.seats }) })
    }
    chooseDraft(this.motion!.id, question.id, picked.join(','))
    this.show(picked.join(','))
    this.setData({ note: '' })
  },

  next() {
    if (this.data.chosen === '') return this.setData({ note: this.texts.vote.needChoice })
    const motion = this.motion!
    const isLast = this.at() + 1 >= motion.questions.length
    if (this.query['edit'] === '1') wx.navigateBack({})
    else if (isLast) go('pages/vote/sign', { motion: motion.id })
    else go('pages/vote/choose', { motion: motion.id, n: String(this.at() + 1) })
  },
})
