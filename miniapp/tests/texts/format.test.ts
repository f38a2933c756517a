import { describe, expect, it } from 'vitest'
import { formatArea, formatFraction, formatNumber, formatTime, parseDate } from '../../src/texts/format'

const NOW = Date.UTC(2026, 10, 22, 12)

describe('times', () => {
  it('are those of Shanghai, wherever the phone is', () => {
    expect(formatTime('zh-CN', Date.UTC(2026, 10, 22, 16, 5), NOW)).toBe('11月23日 00:05')
    expect(formatTime('en', Date.UTC(2026, 10, 22, 1, 0), NOW)).toBe('22 Nov, 09:00')
  })

  it('name the year when it is another', () => {
    expect(formatTime('zh-CN', Date.UTC(2026, 11, 31, 16), NOW)).toBe('2027年1月1日 00:00')
  })

  it('of a date are its first moment, and no date is no time', () => {
    expect(parseDate('2026-12-31')).toBe(Date.UTC(2026, 11, 30, 16))
    for (const text of ['2026-02-30', '31.12.2026', '2026-13-01', '']) expect(parseDate(text)).toBeNull()
  })
})

describe('numbers', () => {
  it('show areas in square metres, cut and never rounded up', () => {
    expect(formatArea(894_500)).toBe('89.45')
    expect(formatArea(1_247_993_099)).toBe('124,799.30')
    expect(formatArea(0)).toBe('0.00')
  })

  it('show fractions cut, as 47 of 49 is printed 95.91%', () => {
    expect(formatFraction(47, 49)).toBe('95.91%')
    expect(formatFraction(905, 1152)).toBe('78.55%')
    expect(formatFraction(1, 1)).toBe('100.00%')
    expect(formatFraction(29, 100)).toBe('29.00%')
    expect(formatFraction(0, 0)).toBe('0/0')
  })

  it('are grouped by three', () => {
    expect([0, 999, 1000, 1234567].map(formatNumber)).toEqual(['0', '999', '1,000', '1,234,567'])
  })
})
