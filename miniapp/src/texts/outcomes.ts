/** What became of something that was signed, as a heading. */

import type { Texts } from './index'

export type OutcomeKind = 'accepted' | 'refused' | 'waiting' | 'distrusted' | 'expired'

/** `done` and `refused` in a page's own words, where it has some. */
export function outcomeTitle(kind: OutcomeKind, texts: Texts['common'], done?: string, refused?: string): string {
  switch (kind) {
    case 'accepted':
      return done ?? texts.settled
    case 'refused':
      return refused ?? texts.refusedTitle
    case 'waiting':
      return texts.keptTitle
    case 'distrusted':
      return texts.distrustTitle
    case 'expired':
      return texts.expiredTitle
  }
}
