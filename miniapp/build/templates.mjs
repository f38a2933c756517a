/** WXML compiled for the browser. Built-in tags get a prefix, so that `<canvas>` or `<image>` do not become HTML's own. */

import { createRequire } from 'node:module'
import { readSource } from './project.mjs'

const { TmplGroup } = createRequire(import.meta.url)('glass-easel-template-compiler')

export const BUILTINS = [
  'view',
  'text',
  'image',
  'button',
  'label',
  'input',
  'textarea',
  'radio-group',
  'radio',
  'checkbox-group',
  'checkbox',
  'switch',
  'navigator',
]
const KNOWN = new Set([...BUILTINS, 'block', 'slot', 'template', 'import', 'include', 'wxs'])
const TAG = /<(\/?)([a-z][a-z0-9-]*)(?=[\s>/])/g

/** JavaScript source of an object from unit path to compiled template. */
export function compileTemplates(units, componentNames) {
  const group = new TmplGroup()
  for (const unit of units) {
    const text = renameTags(unit, readSource(unit + '.wxml'), componentNames)
    const problems = group.addTmpl(unit, text).filter((problem) => problem.level > 1)
    if (problems.length > 0) throw new Error(`${unit}.wxml: ${problems.map((one) => one.message).join('; ')}`)
  }
  return group.getTmplGenObjectGroups()
}

function renameTags(unit, text, componentNames) {
  return text.replace(TAG, (whole, slash, name) => {
    if (BUILTINS.includes(name)) return `<${slash}w-${name}`
    if (!KNOWN.has(name) && !componentNames.includes(name)) throw new Error(`${unit}.wxml: unknown tag <${name}>`)
    return whole
  })
}
