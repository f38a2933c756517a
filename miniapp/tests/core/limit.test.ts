import { describe, expect, it } from 'vitest'
import { lengthMax, lengthOf, tidyLine, tidyText } from '../../src/core/limit'
import { PRIVATE_TEXTS } from '../../src/services/generated'

describe('room of a text', () => {
  it('is read from the pattern of its field', () => {
    expect(lengthMax('^[^\\u0000-\\u001f]{0,1000}$')).toBe(1_000)
    expect(lengthMax('^[^\\u0000]{1,100}$')).toBe(100)
    expect(() => lengthMax('^[a-z]+$')).toThrow('no length')
  })

  it('counts characters as the ledger does: one for a letter outside of the first plane', () => {
    expect(lengthOf('水漏了𠮷👍')).toBe(5)
    const { text } = PRIVATE_TEXTS['ticket.report']
    const isRoomy = (value: string) => new RegExp(text, 'u').test(value)
    expect(isRoomy('👍'.repeat(lengthMax(text)))).toBe(true)
    expect(isRoomy('👍'.repeat(lengthMax(text) + 1))).toBe(false)
  })

  it('is not spent on what no field may hold', () => {
    const pasted = 'a\tb\r\nc\rd\u0007e\u2028f'
    expect(tidyText(pasted)).toBe('a b\nc\nd e\u2028f')
    expect(new RegExp(PRIVATE_TEXTS['ticket.report'].text, 'u').test(tidyText(pasted))).toBe(true)
    expect(tidyLine(pasted)).toBe('a b c d e f')
    expect(new RegExp(PRIVATE_TEXTS['ticket.report'].place, 'u').test(tidyLine(pasted))).toBe(true)
  })
})
