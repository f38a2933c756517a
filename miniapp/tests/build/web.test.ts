import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
// @ts-expect-error plain JavaScript without types
import { buildWeb, replaceFiles } from '../../build/web.mjs'

const replace = replaceFiles as (fresh: string, output: string) => void
const build = buildWeb as (output: string, estate: object | null) => Promise<void>

function folderOf(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'linli-web-'))
  mkdirSync(join(folder, 'assets'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

describe('a web build', () => {
  it('takes the place of the old one, whose own parts are gone', () => {
    const old = folderOf({ 'index.html': 'old', 'app.js': 'old', 'chunk-1.js': 'old', 'assets/a.png': 'old' })
    const fresh = folderOf({ 'index.html': 'new', 'app.js': 'new', 'chunk-2.js': 'new', 'assets/a.png': 'new' })
    replace(fresh, old)
    expect(readdirSync(old).sort()).toEqual(['app.js', 'assets', 'chunk-2.js', 'index.html'])
    expect(readFileSync(join(old, 'index.html'), 'utf8')).toBe('new')
    expect(readFileSync(join(old, 'assets/a.png'), 'utf8')).toBe('new')
  })

  it('that stops half way leaves a page whose every part is there', () => {
    const old = folderOf({ 'index.html': 'old', 'app.js': 'old', 'chunk-1.js': 'old' })
    const fresh = folderOf({ 'index.html': 'new', 'app.js': 'new', 'chunk-2.js': 'new' })
    // A folder cannot be replaced by a file: here the replacement of the page itself fails.
    mkdirSync(join(old, 'blocked'))
    writeFileSync(join(old, 'blocked', 'x'), '')
    writeFileSync(join(fresh, 'blocked'), '')
    expect(() => replace(fresh, old)).toThrow()
    for (const name of ['index.html', 'app.js', 'chunk-1.js']) expect(existsSync(join(old, name))).toBe(true)
    expect(readFileSync(join(old, 'index.html'), 'utf8')).toBe('old')
  })

  it('is whole while the next one is made, and never lacks its page', async () => {
    const output = join(mkdtempSync(join(tmpdir(), 'linli-web-')), 'web')
    await build(output, null)
    const missed: string[] = []
    let isDone = false
    const next = build(output, null).finally(() => (isDone = true))
    while (!isDone) {
      for (const name of ['index.html', 'app.js', 'app.css']) if (!existsSync(join(output, name))) missed.push(name)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await next
    expect(missed).toEqual([])
    expect(readdirSync(join(output, '..'))).toEqual(['web'])
  })
})
