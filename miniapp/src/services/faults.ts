/** What went wrong, in words people use. */

import { fill, refusalText, type Texts } from '../texts'
import { ApiProblem, NetworkError } from './http'
import type { Settlement } from './outbox'
import { settings } from './settings'
import { TrustAlarm } from './trust'

export type PageFault = 'offline' | 'error' | 'alarm'

export function faultOf(error: unknown): PageFault {
  if (error instanceof TrustAlarm) return 'alarm'
  return error instanceof NetworkError ? 'offline' : 'error'
}

export function sentenceOf(error: unknown, texts: Texts): string {
  if (error instanceof TrustAlarm) return error.alarm === 'fork' ? texts.ledger.alarmFork : texts.ledger.alarmText
  if (error instanceof NetworkError) return texts.common.offlineText
  if (error instanceof ApiProblem) return sentenceOfCode(error.code, error.detail, texts)
  return texts.common.unknownError
}

export function sentenceOfCode(code: string, detail: string, texts: Texts): string {
  return refusalText(settings().language, code) ?? (detail || texts.common.unknownError)
}

/** Empty when it was accepted. */
export function sentenceOfSettlement(settlement: Settlement, texts: Texts): string {
  switch (settlement.kind) {
    case 'accepted':
      return ''
    case 'refused':
      return sentenceOfCode(settlement.code, settlement.detail, texts)
    case 'waiting':
      return texts.common.keptText
    case 'distrusted':
      return texts.common.distrust
    case 'expired':
      return sentenceOfCode('expired', '', texts)
  }
}

export { fill }
