import { describe, expect, it } from 'vitest'
import { choicesOf, faultInForm, isNoticeShort, type MotionForm } from '../../src/services/motions'

const DAY = 86_400_000
const approval = { for: '同意', against: '反对', abstain: '弃权' }
const form: MotionForm = {
  title: 't',
  text: 'x',
  matter: 'fund-use',
  hasOptions: false,
  roll: 'r',
  rulePack: 'shanghai',
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

  it('always offers for, against and abstain where the matter asks for approval', () => {
    const choices = choicesOf({ text: 'q', options: 'a\nb' }, false, approval)
    expect(choices.map((choice) => choice.id)).toEqual(['for', 'against', 'abstain'])
  })

  it('adds an abstention to own options, once', () => {
    expect(choicesOf({ text: 'q', options: '甲\n乙\n弃权' }, true, approval)).toEqual([
      { id: 'c1', text: '甲' },
      { id: 'c2', text: '乙' },
      { id: 'abstain', text: '弃权' },
    ])
  })

  it('warns below fifteen days of notice', () => {
    expect(isNoticeShort(15 * DAY, 0)).toBe(false)
    expect(isNoticeShort(15 * DAY - 1, 0)).toBe(true)
  })
})
