/** One log entry (DESIGN.md 2.4): a record or a derived entry, with what was decided about it. */

import { isJsonObject, parseCanonical, type Json, type JsonObject } from './canonical'

export class EntryError extends Error {}

export interface RecordEntry {
  readonly height: number
  readonly index: number
  readonly outcome: string
  readonly record: string
  readonly time_ms: number
}

export interface Derived {
  readonly body: JsonObject
  readonly due_ms: number
  readonly id: string
  readonly key: string
  readonly kind: string
}

export interface SystemEntry {
  readonly height: number
  readonly index: number
  readonly outcome: string
  readonly system: Derived
  readonly time_ms: number
}

export type Entry = RecordEntry | SystemEntry

export function parseEntry(text: string): Entry {
  const value = parseCanonical(text)
  if (!isJsonObject(value)) throw new EntryError('not an object')
  const members = Object.keys(value).sort().join()
  const isRecord = members === 'height,index,outcome,record,time_ms'
  if (!isRecord && members !== 'height,index,outcome,system,time_ms') throw new EntryError('members')
  const numbers = [value['height'], value['index'], value['time_ms']]
  if (!numbers.every(isCount) || typeof value['outcome'] !== 'string') throw new EntryError('types')
  if (isRecord && typeof value['record'] !== 'string') throw new EntryError('types')
  if (!isRecord) checkSystem(value['system'])
  return value as unknown as Entry
}

function checkSystem(system: Json | undefined): void {
  const isShaped = isJsonObject(system) && Object.keys(system).sort().join() === 'body,due_ms,id,key,kind'
  if (!isShaped) throw new EntryError('system')
  const texts = [system['id'], system['key'], system['kind']]
  const isTyped = texts.every((text) => typeof text === 'string') && isJsonObject(system['body'])
  if (!isTyped || !isCount(system['due_ms'])) throw new EntryError('system')
}

function isCount(value: Json | undefined): boolean {
  return typeof value === 'number' && value >= 0
}
