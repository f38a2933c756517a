import { describe, expect, it } from 'vitest'
import { canonicalText, parseCanonical, type Json } from '../../src/core/canonical'

const nested = (depth: number): Json => (depth === 0 ? 1 : [nested(depth - 1)])

describe('canonical JSON', () => {
  it('sorts keys, leaves no space and keeps Chinese as it is', () => {
    expect(canonicalText({ b: [1, true, '投票'], a: { z: -1, y: '' } })).toBe(
      '{"a":{"y":"","z":-1},"b":[1,true,"投票"]}',
    )
  })

  it('reads what it wrote', () => {
    const value = { text: '"\\\n\u0001\u007f\u2028😀', list: [], object: {}, big: 2 ** 53 - 1 }
    expect(parseCanonical(canonicalText(value))).toEqual(value)
  })

  it.each([1.5, NaN, 2 ** 53, -0, null, undefined, { a: null }, { ключ: 1 }, '\ud800', { a: '\udc00' }])(
    'does not write %s',
    (value) => {
      expect(() => canonicalText(value as Json)).toThrow()
    },
  )

  it.each([
    '{"b":1,"a":1}',
    '{"a": 1}',
    '{"a":1,"a":1}',
    '1.0',
    '1e3',
    '-0',
    'null',
    '"\\u0041"',
    '"\\/"',
    '{"a":1}\n',
    '',
    '{',
    '9007199254740993',
  ])('does not read %s', (text) => {
    expect(() => parseCanonical(text)).toThrow()
  })

  it('allows eight levels and no more', () => {
    expect(canonicalText(nested(8))).toBe('[[[[[[[[1]]]]]]]]')
    expect(() => canonicalText(nested(9))).toThrow()
    expect(() => parseCanonical('[[[[[[[[[1]]]]]]]]]')).toThrow()
  })
})
