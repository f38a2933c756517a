import { describe, expect, it } from 'vitest'
import { textsOf } from '../../src/texts'
import { choiceText } from '../../src/texts/choices'
import { outcomeTitle, type OutcomeKind } from '../../src/texts/outcomes'
import { shopText } from '../../src/texts/shops'

const zh = textsOf('zh-CN')
const en = textsOf('en')

describe('choices', () => {
  it('of an ordinary question are worded in the language of the reader', () => {
    const choices = [
      { id: 'for', text: '同意' },
      { id: 'against', text: '反对' },
      { id: 'abstain', text: '弃权' },
    ]
    expect(choices.map((one) => choiceText(one, en))).toEqual(['For', 'Against', 'Abstain'])
    expect(choices.map((one) => choiceText(one, zh))).toEqual(['同意', '反对', '弃权'])
  })

  it('that a motion worded itself are shown as they were decided on', () => {
    expect(choiceText({ id: 'c1', text: '同意' }, en)).toBe('同意')
    expect(choiceText({ id: 'for', text: '同意延期' }, en)).toBe('同意延期')
  })
})

describe('outcomes', () => {
  it('that nobody knows are called neither done nor refused', () => {
    const titleOf = (kind: OutcomeKind) => outcomeTitle(kind, zh.common, zh.vote.done, zh.vote.refused)
    expect(titleOf('accepted')).toBe('投票成功')
    expect(titleOf('refused')).toBe('这一票没有计入')
    expect(titleOf('distrusted')).toBe('先不要再操作')
    expect(titleOf('expired')).toBe('没有送到')
    expect(titleOf('waiting')).toBe('已保存在手机里')
    expect(outcomeTitle('refused', en.common)).toBe('Not done')
  })
})

describe('shops', () => {
  it('without a name are the same to customer and merchant', () => {
    expect(shopText('m-abcd4uyo', '', zh)).toBe('商户（尾号 4uyo）')
    expect(shopText('m-abcd4uyo', '早餐店', zh)).toBe('早餐店')
  })
})
