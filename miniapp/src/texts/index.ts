/** One table of words in two languages. A missing key or a missing refusal sentence fails the type check. */

import { en } from './en'
import { refusalsEn } from './refusals-en'
import { refusalsZh } from './refusals-zh'
import type { RefusalCode } from './refusal-codes'
import { zh, type Texts } from './zh'

export type Language = 'zh-CN' | 'en'
export type { Texts }
export type Section = keyof Texts

export const DEFAULT_LANGUAGE: Language = 'zh-CN'
export const LANGUAGES: readonly Language[] = ['zh-CN', 'en']

const TEXTS: Record<Language, Texts> = { 'zh-CN': zh, en }
const REFUSALS: Record<Language, Record<RefusalCode, string>> = { 'zh-CN': refusalsZh, en: refusalsEn }

export function textsOf(language: Language): Texts {
  return TEXTS[language]
}

/** A sentence for a code, or undefined for one this build does not know (the node's own sentence is shown then). */
export function refusalText(language: Language, code: string): string | undefined {
  return (REFUSALS[language] as Record<string, string>)[code]
}

export type Values = Readonly<Record<string, string | number>>

export function fill(text: string, values: Values): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole))
}
