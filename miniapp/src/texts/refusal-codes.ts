/**
 * Every code by which a record or a request can be refused: those that the server declares, and one of our own for an
 * answer that is not of our API. A code without a sentence in both languages fails the type check.
 */

import type { Code, Refusal } from '../services/generated'

export type RefusalCode = Code | Refusal | 'unavailable'
