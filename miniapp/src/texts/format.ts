/** Times, areas and numbers as people write them. Estate time is Asia/Shanghai (UTC+8 all year), wherever the phone is. */

import type { Language } from './index'

const SHANGHAI_MS = 8 * 3_600_000
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const CM2_PER_HUNDREDTH = 100

const two = (value: number): string => String(value).padStart(2, '0')

/** `11月22日 17:40`, `22 Nov, 17:40`; with the year when it is not that of `nowMs`. */
export function formatTime(language: Language, timeMs: number, nowMs: number): string {
  const date = new Date(timeMs + SHANGHAI_MS)
  const clock = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`
  const year = date.getUTCFullYear()
  const isThisYear = year === new Date(nowMs + SHANGHAI_MS).getUTCFullYear()
  const [month, day] = [date.getUTCMonth(), date.getUTCDate()]
  if (language === 'en') return `${day} ${MONTHS[month]}${isThisYear ? '' : ' ' + year}, ${clock}`
  return `${isThisYear ? '' : year + '年'}${month + 1}月${day}日 ${clock}`
}

/** `2026年11月22日`, `22 Nov 2026`: for paper, which does not know what year it is read. */
export function formatDay(language: Language, timeMs: number): string {
  const date = new Date(timeMs + SHANGHAI_MS)
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()]
  return language === 'en' ? `${day} ${MONTHS[month]} ${year}` : `${year}年${month + 1}月${day}日`
}

/** Midnight at the start of that day in Shanghai, or null when the text is no date `2026-12-31`. */
export function parseDate(text: string): number | null {
  const found = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text.trim())
  if (!found) return null
  const [year, month, day] = found.slice(1).map(Number) as [number, number, number]
  const date = new Date(Date.UTC(year, month - 1, day))
  const isReal = date.getUTCMonth() === month - 1 && date.getUTCDate() === day
  return isReal ? date.getTime() - SHANGHAI_MS : null
}

/** The day in China's time as it is typed into forms: `2026-12-31`. */
export function dateText(timeMs: number): string {
  return new Date(timeMs + SHANGHAI_MS).toISOString().slice(0, 10)
}

/** Square metres with two decimals from integer cm2, cut, never rounded up: `1,247.30`. */
export function formatArea(areaCm2: number): string {
  const hundredths = Math.floor(areaCm2 / CM2_PER_HUNDREDTH)
  return `${formatNumber(Math.floor(hundredths / 100))}.${two(hundredths % 100)}`
}

export function formatNumber(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** `95.91%`: cut, as the press and our result pages print it. */
export function formatFraction(part: number, whole: number): string {
  if (whole <= 0) return `${part}/${whole}`
  const basis = Math.floor((part / whole) * 10_000 + 1e-9)
  return `${Math.floor(basis / 100)}.${two(basis % 100)}%`
}
