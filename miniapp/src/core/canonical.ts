/**
 * Canonical JSON (DESIGN.md 2): sorted ASCII keys, no spaces, UTF-8, no floats, no nulls, integers |x| < 2^53,
 * depth <= 8. Parsing re-encodes what was read and compares the text, so one value has one byte string.
 */

import { decodeUtf8, encodeUtf8 } from './utf8'

export type Json = string | number | boolean | readonly Json[] | { readonly [key: string]: Json }
export type JsonObject = { readonly [key: string]: Json }

export class CanonicalError extends Error {}

/** Steps down from the outermost value, which has depth 0. */
const DEPTH_MAX = 8
/** ASCII, so that JavaScript (UTF-16) and Python (code points) sort keys alike. */
const KEY = /^[a-z0-9_.]{1,64}$/

export function canonicalText(value: Json): string {
  return write(value, 0)
}

export function canonicalBytes(value: Json): Uint8Array {
  return encodeUtf8(canonicalText(value))
}

export function parseCanonical(text: string): Json {
  let value: Json
  try {
    value = JSON.parse(text) as Json
  } catch {
    throw new CanonicalError('not JSON')
  }
  if (canonicalText(value) !== text) throw new CanonicalError('not canonical')
  return value
}

export function parseCanonicalBytes(bytes: Uint8Array): Json {
  return parseCanonical(decodeUtf8(bytes))
}

export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && !Array.isArray(value)
}

function write(value: unknown, depth: number): string {
  if (depth > DEPTH_MAX) throw new CanonicalError('too deep')
  if (typeof value === 'string') return writeText(value)
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'number') return writeInteger(value)
  if (typeof value !== 'object' || value === null) throw new CanonicalError('null or not a JSON value')
  if (Array.isArray(value)) return '[' + value.map((item) => write(item, depth + 1)).join(',') + ']'
  return writeObject(value as Record<string, unknown>, depth)
}

function writeObject(value: Record<string, unknown>, depth: number): string {
  const keys = Object.keys(value).sort()
  return '{' + keys.map((key) => writeKey(key) + ':' + write(value[key], depth + 1)).join(',') + '}'
}

function writeKey(key: string): string {
  if (!KEY.test(key)) throw new CanonicalError('key is not of a-z, 0-9, underscore and dot')
  return JSON.stringify(key)
}

function writeText(text: string): string {
  // With the flag `u` a pair is one character, so only a lone half matches.
  if (/[\ud800-\udfff]/u.test(text)) throw new CanonicalError('lone surrogate')
  return JSON.stringify(text)
}

function writeInteger(value: number): string {
  if (!Number.isSafeInteger(value) || Object.is(value, -0)) throw new CanonicalError('not a safe integer')
  return String(value)
}
