/** What was decided: both fractions with numerator and denominator, the clause, and who has confirmed. */

import { api } from '../../services/api'
import type { Motion, Question, QuestionResult } from '../../services/api-types'
import { isRehearsal } from '../../services/ballots'
import { estate } from '../../services/trust'
import { fill, type Texts } from '../../texts'
import { APPROVAL, choiceText } from '../../texts/choices'
import { formatArea, formatFraction, formatNumber } from '../../texts/format'
import { definePage } from '../../page'

interface Line {
  readonly id: string
  readonly text: string
  readonly heads: string
  readonly area: string
  readonly share: string
}

interface Block {
  readonly id: string
  readonly text: string
  readonly verdict: string
  readonly tone: 'good' | 'bad'
  readonly why: string
  readonly clause: string
  readonly lines: readonly Line[]
}

definePage({
  title: (texts) => texts.result.title,
  sections: ['result', 'motions'],
  data: {
    title: '',
    grade: '',
    isFinal: false,
    isRehearsal: false,
    hasResult: false,
    blocks: [] as Block[],
    turnoutHeads: '',
    turnoutArea: '',
  },

  async load() {
    const [motion, { nodes }] = await Promise.all([api.motion(this.query['motion']!), estate()])
    const nameOf = (id: string) => nodes.find((node) => node.id === id)?.name ?? id
    const missing = (motion.result?.missing ?? []).map(nameOf).join('、')
    this.setData({
      title: motion.title,
      isRehearsal: isRehearsal(motion),
      hasResult: motion.result !== undefined,
      isFinal: (motion.result?.grade ?? 'closed') !== 'closed',
      grade: gradeText(motion, missing, this.texts),
      blocks: (motion.result?.questions ?? []).map((one) => blockOf(one, motion, this.texts)),
      ...turnout(motion, this.texts),
    })
  },
})

function gradeText(motion: Motion, missing: string, texts: Texts): string {
  const grade = motion.result?.grade
  if (grade === undefined) return texts.result.notYet
  if (grade === 'final') return texts.result.final
  return fill(grade === 'final_without' ? texts.result.finalWithout : texts.result.waiting, { nodes: missing })
}

function turnout({ turnout: t }: Motion, texts: Texts) {
  const heads = fill(texts.result.turnout, { n: formatNumber(t.heads), all: formatNumber(t.heads_total) })
  const area = fill(texts.result.turnout, { n: formatArea(t.area_cm2), all: formatArea(t.area_total_cm2) })
  return {
    turnoutHeads: `${heads} (${formatFraction(t.heads, t.heads_total)})`,
    turnoutArea: `${area} ㎡ (${formatFraction(t.area_cm2, t.area_total_cm2)})`,
  }
}

function blockOf(result: QuestionResult, motion: Motion, texts: Texts): Block {
  const question = motion.questions.find((one) => one.id === result.question)
  return {
    id: result.question,
    text: question?.text ?? '',
    ...verdictOf(result, question, texts),
    clause: fill(texts.result.clause, { clause: result.clause }),
    lines: linesOf(result, question, texts),
  }
}

function verdictOf(
  result: QuestionResult,
  question: Question | undefined,
  texts: Texts,
): Pick<Block, 'verdict' | 'tone' | 'why'> {
  if (result.result === 'undetermined') return { verdict: texts.result.undetermined, tone: 'bad', why: '' }
  const picked = result.chosen.split(',')
  const chosen = (question?.choices ?? []).filter((one) => picked.includes(one.id) && !isApproval(one.id))
  const names = chosen.map((one) => one.text).join('、')
  const verdict = (question?.seats ?? 0) > 0 ? fill(texts.result.elected, { names }) : names || texts.result.passed
  if (result.passed) return { verdict, tone: 'good', why: '' }
  const why = result.quorum ? texts.result.majorityFailed : texts.result.quorumFailed
  return { verdict: texts.result.failed, tone: 'bad', why }
}

const isApproval = (id: string): boolean => APPROVAL.some((one) => one === id)

function linesOf(result: QuestionResult, question: Question | undefined, texts: Texts): Line[] {
  const heads = result.participating.heads ?? 0
  const area = result.participating.area_cm2 ?? 0
  const wording = new Map(question?.choices.map((choice) => [choice.id, choiceText(choice, texts)]))
  return result.choices.map((one) => ({
    id: one.choice,
    text: wording.get(one.choice) ?? one.choice,
    heads: `${formatNumber(one.heads)}/${formatNumber(heads)} (${formatFraction(one.heads, heads)})`,
    area: `${formatArea(one.area_cm2)}/${formatArea(area)} ㎡ (${formatFraction(one.area_cm2, area)})`,
    share: String(heads > 0 ? Math.floor((one.heads / heads) * 100) : 0),
  }))
}
