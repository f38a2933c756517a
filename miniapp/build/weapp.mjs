/** The WeChat build: a folder that opens in WeChat DevTools. Each unit is one CommonJS file; what they share is one more. */

import { cpSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import esbuild from 'esbuild'
import { readProject, SOURCE } from './project.mjs'

/** WeChat's limit for the main package and for each sub-package. */
export const PACKAGE_BYTES_MAX = 2 * 1024 * 1024
const COPIED = /\.(wxml|wxss|json|png|svg)$/

export async function buildWeapp(output, estate) {
  const project = readProject()
  rmSync(output, { recursive: true, force: true })
  cpSync(SOURCE, output, { recursive: true, filter: (path) => statSync(path).isDirectory() || COPIED.test(path) })
  dropEmpty(output)
  await bundle(project, output, estate)
  return packageSizes(project, output)
}

/**
 * Splitting by esbuild is for ES modules only, so modules are bundled as such and then turned into CommonJS file by file:
 * shared code (core, services, texts) lands once in the main package.
 */
async function bundle({ pages, components }, output, estate) {
  const entryPoints = Object.fromEntries(
    ['app', ...pages, ...components].map((unit) => [unit, join(SOURCE, unit + '.ts')]),
  )
  const built = await esbuild.build({
    entryPoints,
    outdir: output,
    bundle: true,
    splitting: true,
    chunkNames: 'shared/[name]-[hash]',
    format: 'esm',
    target: 'es2020',
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'warning',
    write: false,
    define: { LINLI_ESTATE: JSON.stringify(estate), 'process.env.NODE_ENV': '"production"' },
  })
  for (const file of built.outputFiles) {
    const { code } = await esbuild.transform(file.text, {
      format: 'cjs',
      target: 'es2020',
      minify: true,
      charset: 'utf8',
    })
    mkdirSync(dirname(file.path), { recursive: true })
    writeFileSync(file.path, code)
  }
}

/** Bytes of the main package and of each sub-package; throws when one is too large for WeChat. */
export function packageSizes({ app }, output) {
  const roots = app.subPackages.map((part) => part.root)
  const sizes = Object.fromEntries([['main', 0], ...roots.map((root) => [root, 0])])
  for (const path of filesUnder(output)) {
    const top = relative(output, path).split('/')[0]
    sizes[roots.includes(top) ? top : 'main'] += statSync(path).size
  }
  const large = Object.entries(sizes).find(([, size]) => size > PACKAGE_BYTES_MAX)
  if (large) throw new Error(`package ${large[0]} has ${large[1]} bytes, more than ${PACKAGE_BYTES_MAX}`)
  return sizes
}

function filesUnder(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    return entry.isDirectory() ? filesUnder(path) : [path]
  })
}

/** Folders that hold only TypeScript would be copied empty. */
function dropEmpty(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) dropEmpty(join(folder, entry.name))
  }
  if (readdirSync(folder).length === 0) rmSync(folder, { recursive: true })
}
