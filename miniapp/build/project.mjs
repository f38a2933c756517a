/** What the mini-program consists of, read from app.json: its pages, its components, its style sheets. */

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..')
export const SOURCE = join(ROOT, 'src')

export const readSource = (path) => readFileSync(join(SOURCE, path), 'utf8')
export const readJson = (path) => JSON.parse(readSource(path))

/** Pages and components are "units": a path without suffix for which .ts, .wxml and .json exist. */
export function readProject() {
  const app = readJson('app.json')
  const packaged = app.subPackages.flatMap((part) => part.pages.map((page) => `${part.root}/${page}`))
  const pages = [...app.pages, ...packaged]
  const shared = app.usingComponents
  const components = [
    ...new Set([...pathsOf(shared), ...pages.flatMap((page) => pathsOf(jsonOf(page).usingComponents))]),
  ]
  for (const unit of [...pages, ...components]) requireFiles(unit)
  return { app, pages, components, shared }
}

export function jsonOf(unit) {
  return readJson(unit + '.json')
}

/** Global styles first, then those of the units, in the order of app.json. */
export function styleFiles({ pages, components }) {
  const own = [...components, ...pages].map((unit) => unit + '.wxss').filter((path) => existsSync(join(SOURCE, path)))
  return ['app.wxss', ...own]
}

const pathsOf = (using = {}) => Object.values(using).map((path) => path.replace(/^\//, ''))

function requireFiles(unit) {
  for (const suffix of ['.ts', '.wxml', '.json']) {
    if (!existsSync(join(SOURCE, unit + suffix))) throw new Error(`${unit}${suffix} is missing`)
  }
}
