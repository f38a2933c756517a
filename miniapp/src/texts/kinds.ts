/** The kind of a record in words. */

import type { Texts } from './index'

export function kindText(kind: string, texts: Texts): string {
  return (texts.kind as Record<string, string>)[kind.replace('.', '_')] ?? texts.kind.other
}
