/** Step five, sign: everything once more, then one button. What was signed waits in the outbox until its receipt holds. */

import { api } from '../../services/api'
import type { Motion } from '../../services/api-types'
import { castBallots, choicesOf, isComplete } from '../../services/ballots'
import { sentenceOfSettlement } from '../../services/faults'
import type { Settlement } from '../../services/outbox'
import type { Texts } from '../../texts'
import { choiceText } from '../../texts/choices'
import { outcomeTitle } from '../../texts/outcomes'
import { definePage, go, replaceWith } from '../../page'
import { stepData, VOTE_STEPS } from './steps'

interface Answer {
  readonly question: string
  readonly choice: string
  readonly n: number
}

definePage({
  title: (texts, { outcome }) =>
    outcome ? outcomeTitle(outcome, texts.common, texts.vote.done, texts.vote.refused) : texts.vote.signTitle,
  sections: ['vote'],
  data: {
    title: '',
    answers: [] as Answer[],
    outcome: '' as '' | Settlement['kind'],
    outcomeText: '',
    receipt: '',
    ...VOTE_STEPS,
  },
  motion: undefined as Motion | undefined,
  choices: {} as Readonly<Record<string, string>>,

  async load() {
    // After the vote is cast this page shows what became of it, not the form again.
    if (this.data.outcome !== '') return
    const motion = await api.motion(this.query['motion']!)
    if (!isComplete(motion)) return replaceWith('pages/vote/choose', { motion: motion.id, n: '0' })
    this.motion = motion
    this.choices = choicesOf(motion)
    this.setData({ title: motion.title, answers: answersOf(motion, this.choices, this.texts), ...stepData(5, this.texts) })
  },

  edit(event: TapEvent) {
    go('pages/vote/choose', { motion: this.query['motion']!, n: String(event.currentTarget.dataset['n']), edit: '1' })
  },

  sign() {
    return this.run(async () => {
      const cast = await castBallots(this.motion!, this.choices, this.data.title)
      const sentence = cast.kind === 'unchanged' ? '' : sentenceOfSettlement(cast, this.texts)
      this.setData({
        outcome: cast.kind === 'unchanged' ? 'accepted' : cast.kind,
        outcomeText: sentence || this.texts.vote.doneText,
        receipt: cast.id,
      })
      this.retitle()
      if (cast.kind === 'accepted') wx.vibrateShort({ type: 'light' })
    })
  },

  home() {
    wx.switchTab({ url: '/pages/home/index' })
  },
})

function answersOf(motion: Motion, choices: Readonly<Record<string, string>>, texts: Texts): Answer[] {
  return motion.questions.map((question, n) => {
    const picked = (choices[question.id] ?? '').split(',')
    const chosen = question.choices.filter((one) => picked.includes(one.id)).map((one) => choiceText(one, texts))
    return { question: question.text, choice: chosen.join('、'), n }
  })
}
