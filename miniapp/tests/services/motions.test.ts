import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { lengthMax } from '../../src/core/limit'
import {
  CHOICE_LENGTH_MAX,
  choicesOf,
  earliestOpening,
  faultInForm,
  OPTIONS_MAX,
  QUESTION_LENGTH_MAX,
  TEXT_LENGTH_MAX,
  TITLE_LENGTH_MAX,
  type MotionForm,
} from '../../src/services/motions'

type Fields = Record<string, { readonly pattern: string }>

const DAY = 86_400_000
const form: MotionForm = {
  title: 't',
  text: 'x',
  matter: 'fund-use',
  hasOptions: false,
  seats: 0,
  roll: 'r',
  rulePack: 'shanghai',
  noticeDays: 15,
  opensMs: 16 * DAY,
  closeMs: 20 * DAY,
  questions: [{ text: 'q', options: '' }],
}

describe('motion form', () => {
  it('is complete with title, text, question, date and roll', () => {
    expect(faultInForm(form, 0)).toBeNull()
    expect(faultInForm({ ...form, title: ' ' }, 0)).toBe('needTitle')
    expect(faultInForm({ ...form, text: '' }, 0)).toBe('needText')
    expect(faultInForm({ ...form, questions: [{ text: '', options: '' }] }, 0)).toBe('needQuestion')
    expect(faultInForm({ ...form, questions: [{ text: 'q', options: 'one' }] }, 0)).toBe('needQuestion')
    expect(faultInForm({ ...form, questions: [{ text: 'q', options: 'one\none' }] }, 0)).toBe('needQuestion')
    expect(faultInForm({ ...form, closeMs: 0 }, 0)).toBe('badDates')
    expect(faultInForm({ ...form, roll: '' }, 0)).toBe('needRoll')
    expect(faultInForm({ ...form, matter: '' }, 0)).toBe('needMatter')
  })

  it('is told what is too long by the limits of the record itself', () => {
    const { $defs, properties } = JSON.parse(
      readFileSync(new URL('../../../schemas/records/motion.propose.json', import.meta.url), 'utf8'),
    ) as { properties: Fields; $defs: Record<'Question' | 'Choice', { properties: Fields }> }
    expect(TITLE_LENGTH_MAX).toBe(lengthMax(properties['title']!.pattern))
    expect(TEXT_LENGTH_MAX).toBe(lengthMax(properties['text']!.pattern))
    expect(QUESTION_LENGTH_MAX).toBe(lengthMax($defs.Question.properties['text']!.pattern))
    expect(CHOICE_LENGTH_MAX).toBe(lengthMax($defs.Choice.properties['text']!.pattern))
    expect(OPTIONS_MAX + 1).toBe(($defs.Question.properties['choices'] as unknown as { maxItems: number }).maxItems)
    expect(faultInForm({ ...form, text: '字'.repeat(TEXT_LENGTH_MAX) }, 0)).toBeNull()
    expect(faultInForm({ ...form, text: '字'.repeat(TEXT_LENGTH_MAX + 1) }, 0)).toBe('tooLong')
    const long = `甲\n${'乙'.repeat(CHOICE_LENGTH_MAX + 1)}`
    expect(faultInForm({ ...form, questions: [{ text: 'q', options: long }] }, 0)).toBe('needQuestion')
  })

  it('always offers for, against and abstain where the matter asks for approval', () => {
    const choices = choicesOf({ text: 'q', options: 'a\nb' }, false)
    expect(choices.map((choice) => choice.id)).toEqual(['for', 'against', 'abstain'])
  })

  it('adds an abstention to own options, once', () => {
    expect(choicesOf({ text: 'q', options: '甲\n乙\n弃权' }, true)).toEqual([
      { id: 'c1', text: '甲' },
      { id: 'c2', text: '乙' },
      { id: 'abstain', text: '弃权' },
    ])
  })

  it('wants fifteen days of notice, the day of the announcement not counted, in the time of China', () => {
    const announced = Date.parse('2025-03-01T23:59:59+08:00')
    const earliest = Date.parse('2025-03-16T00:00:00+08:00')
    expect(earliestOpening(15, announced)).toBe(earliest)
    const dated = { ...form, opensMs: earliest, closeMs: earliest + 10 * DAY }
    expect(faultInForm(dated, announced)).toBeNull()
    expect(faultInForm({ ...dated, opensMs: earliest - 1 }, announced)).toBe('badNotice')
  })

  it('opens a rehearsal at once', () => {
    expect(faultInForm({ ...form, noticeDays: 0, opensMs: 0, closeMs: 1 }, 0)).toBeNull()
  })
})
