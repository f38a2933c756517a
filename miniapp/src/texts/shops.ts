/** A shop in words: customer and merchant see the same, so that they can compare. */

import { fill, type Texts } from './index'

const PSEUDONYM_TAIL = 4

/** Where no organisation that was asked has named the shop, the last characters of its pseudonym stand for it. */
export function shopText(id: string, name: string, texts: Texts): string {
  return name === '' ? fill(texts.shop.unnamed, { tail: id.slice(-PSEUDONYM_TAIL) }) : name
}
