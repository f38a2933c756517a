import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { fill, LANGUAGES, refusalText, textsOf } from '../../src/texts'
import { refusalsZh } from '../../src/texts/refusals-zh'
// @ts-expect-error plain JavaScript without types
import { readProject, SOURCE } from '../../build/project.mjs'

const { components, pages } = readProject() as { components: string[]; pages: string[] }
const read = (path: string): string => readFileSync(join(SOURCE as string, path), 'utf8')
const zh = textsOf('zh-CN') as unknown as Record<string, Record<string, string>>
const en = textsOf('en') as unknown as Record<string, Record<string, string>>
const keys = Object.entries(zh).flatMap(([section, texts]) => Object.keys(texts).map((key) => [section, key] as const))
const bare = (text: string) => text.replace(/\{\w+\}/g, '')
const placeholders = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((found) => found[1]).sort()

describe('words', () => {
  it.each(keys)('%s.%s has the same placeholders in both languages', (section, key) => {
    expect(placeholders(en[section]![key]!)).toEqual(placeholders(zh[section]![key]!))
    expect(zh[section]![key]).not.toBe('')
    expect(en[section]![key]).not.toBe('')
  })

  it.each(pages)('every word that %s shows exists and is loaded by that page', (page) => {
    const code = read(page + '.ts')
    const loaded = ['common', ...(/sections: \[(.*?)\]/s.exec(code)?.[1]?.match(/\w+/g) ?? [])]
    for (const [, section, key] of read(page + '.wxml').matchAll(/\bs\.(\w+)\.(\w+)/g)) {
      expect(loaded, `${page} shows s.${section}.${key}`).toContain(section)
      expect(zh[section!], `${section}.${key}`).toHaveProperty(key!)
    }
  })

  it('never says hash, node, block or quorum to residents', () => {
    const staff = ['motionForm', 'staffTicket', 'staffTickets', 'grant']
    const shown = keys.filter(([section]) => !staff.includes(section))
    for (const [section, key] of shown) {
      expect(bare(zh[section]![key]!), `${section}.${key}`).not.toMatch(/哈希|节点|区块|法定人数|上链|共识/)
      expect(bare(en[section]![key]!), `${section}.${key}`).not.toMatch(
        /\b(hash|node|block|quorum|blockchain|consensus)s?\b/i,
      )
    }
  })

  it('fills in values and leaves unknown names visible', () => {
    expect(fill('{n} of {all}', { n: 1, all: 2 })).toBe('1 of 2')
    expect(fill('{who}', {})).toBe('{who}')
  })
})

describe('components', () => {
  it.each(components)('%s is styled by the app and by nothing hidden', (component) => {
    expect(JSON.parse(read(component + '.json'))).toMatchObject({ component: true, styleIsolation: 'apply-shared' })
  })
})

describe('refusals', () => {
  it('each has a sentence in every language', () => {
    for (const language of LANGUAGES)
      for (const code of Object.keys(refusalsZh)) expect(refusalText(language, code)).toMatch(/[。.]$/)
  })
})
