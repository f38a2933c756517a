/** How much a text may hold, read from the pattern that the ledger's rules give it. Characters are code points. */

/** The largest number of characters of a pattern that ends in `{0,1000}$` or `{1,100}$`. */
export function lengthMax(pattern: string): number {
  const found = /\{\d+,(\d+)\}\$$/.exec(pattern)
  if (!found) throw new Error('no length in ' + pattern)
  return Number(found[1])
}

export const lengthOf = (text: string): number => [...text].length

/** What no field may hold, as a pasted tab, becomes a blank; a single line keeps no line breaks either. */
export function tidyText(text: string): string {
  return text.replace(/\r\n?/g, '\n').replace(/[\u0000-\u0009\u000b-\u001f\u007f]/g, ' ')
}

export function tidyLine(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f\u2028\u2029]+/g, ' ')
}
