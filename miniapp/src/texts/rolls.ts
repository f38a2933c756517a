/** A roster's preview and the rolls on the ledger, as rows of words. Knows no platform. */

import type { Preview, RollStanding, RollView, RollWaiting } from '../services/generated'
import type { Relation } from '../services/offices'
import type { Language, Texts } from './index'
import { fill } from './index'
import { formatArea, formatNumber, formatTime } from './format'

type NameOf = (organisation: string) => string

export interface WaitingRow {
  readonly id: string
  readonly text: string
  readonly hint: string
}

export function rollText(roll: RollView | RollWaiting, language: Language, nowMs: number, texts: Texts): string {
  return fill(texts.rollImport.rollOf, {
    time: formatTime(language, roll.published_ms, nowMs),
    heads: formatNumber(roll.heads),
    area: formatArea(roll.area_cm2),
  })
}

export function waitingRow(
  roll: RollWaiting,
  standing: RollStanding,
  nameOf: NameOf,
  language: Language,
  nowMs: number,
  texts: Texts,
): WaitingRow {
  const isPart = roll.parts_published < roll.parts
  const nodes = joinNames(roll.confirmed_by.map(nameOf), texts)
  const left = standing.approvals - roll.confirmed_by.length
  const hint = isPart
    ? fill(texts.rollImport.waitingPart, { n: roll.parts_published, all: roll.parts })
    : fill(texts.rollImport.waitingBy, { nodes, n: left })
  return { id: roll.id, text: rollText(roll, language, nowMs, texts), hint }
}

export interface Fact {
  readonly name: string
  readonly value: string
}

export function totalsOf(preview: Preview, texts: Texts): readonly Fact[] {
  const { area, areaOf, duplicates, heads, homes, lines, owners } = texts.rollImport
  const counts: [string, number][] = [
    [homes, preview.homes],
    [owners, preview.owners],
    ...(preview.heads > 0 ? [[heads, preview.heads] as [string, number]] : []),
    [lines, preview.good_lines],
    ...(preview.duplicate_lines > 0 ? [[duplicates, preview.duplicate_lines] as [string, number]] : []),
  ]
  const facts = counts.map(([name, count]) => ({ name, value: formatNumber(count) }))
  return [...facts, { name: area, value: fill(areaOf, { area: groupDigits(preview.total_area) }) }]
}

/** `36429.31` as people write it: the node's decimals are not touched by arithmetic. */
function groupDigits(amount: string): string {
  return amount.replace(/^\d+/, (whole) => formatNumber(Number(whole)))
}

export interface ChangeRow {
  readonly id: string
  readonly mark: string
  readonly text: string
  readonly hint: string
  readonly tone: 'good' | 'bad' | 'wait'
}

const TONES = { added: 'good', removed: 'bad', changed: 'wait' } as const

export function changeRows(preview: Preview, texts: Texts): readonly ChangeRow[] {
  const { addedOne, changedOne, removedOne } = texts.rollImport
  const marks = { added: addedOne, removed: removedOne, changed: changedOne }
  const words = texts.rosterField as Record<string, string>
  return preview.differences.map((one, at) => ({
    id: String(at),
    mark: marks[one.change],
    text: `${one.room} · ${one.name}`,
    hint: [...new Set(one.fields.map((field) => words[field] ?? field))].join(texts.rosterField.and),
    tone: TONES[one.change],
  }))
}

export function changeSummary(preview: Preview, isFirst: boolean, texts: Texts): string {
  if (isFirst) return texts.rollImport.first
  const counts = (['added', 'removed', 'changed'] as const)
    .map((change) => [texts.rollImport[change], preview.difference[change] ?? 0] as const)
    .filter(([, n]) => n > 0)
  return counts.map(([text, n]) => fill(text, { n })).join(' · ') || texts.rollImport.noChange
}

export function relationText(relation: Relation, nameOf: NameOf, texts: Texts): string {
  if (relation.kind === 'new') return ''
  return fill(texts.rollImport[relation.kind], { nodes: joinNames(relation.nodes.map(nameOf), texts) })
}

export function joinNames(names: readonly string[], texts: Texts): string {
  return names.join(texts.rosterField.and)
}
