/** The web build: static files for the node to serve. No inline script, no eval, no other host. */

import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, extname, join } from 'node:path'
import esbuild from 'esbuild'
import { jsonOf, readProject, readSource, ROOT, SOURCE, styleFiles } from './project.mjs'
import { compileTemplates } from './templates.mjs'

const RPX_PER_VIEWPORT = 7.5

export async function buildWeb(output, estate) {
  const project = readProject()
  const fresh = `${output}.${process.pid}.new`
  try {
    mkdirSync(fresh, { recursive: true })
    cpSync(join(SOURCE, 'assets'), join(fresh, 'assets'), { recursive: true })
    await bundle(project, fresh, estate)
    writeFileSync(join(fresh, 'app.css'), await styles(project))
    writeFileSync(join(fresh, 'index.html'), readFileSync(join(ROOT, 'web/index.html'), 'utf8'))
    replaceFiles(fresh, output)
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
}

/** What a page names comes before the page itself. */
const ENTRIES = ['app.css', 'app.js', 'index.html']

/**
 * Puts a finished build in place of the old one, file by file, each by one rename: a node that serves the folder never
 * misses a file, and a build that fails leaves everything as it was. Parts that only the old build had go last.
 */
export function replaceFiles(fresh, output) {
  const names = filesUnder(fresh)
  const ordered = [...names.filter((name) => !ENTRIES.includes(name)), ...ENTRIES.filter((name) => names.includes(name))]
  for (const name of ordered) {
    mkdirSync(dirname(join(output, name)), { recursive: true })
    renameSync(join(fresh, name), join(output, name))
  }
  for (const name of filesUnder(output)) if (!names.includes(name)) rmSync(join(output, name))
}

const filesUnder = (folder) =>
  readdirSync(folder, { recursive: true }).filter((name) => statSync(join(folder, name)).isFile())

function bundle(project, output, estate) {
  return esbuild.build({
    entryPoints: { app: join(ROOT, 'web/main.ts') },
    outdir: output,
    bundle: true,
    splitting: true,
    format: 'esm',
    target: 'es2020',
    minify: true,
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'warning',
    define: { LINLI_ESTATE: JSON.stringify(estate), 'process.env.NODE_ENV': '"production"' },
    plugins: [projectModule(project)],
  })
}

/** `virtual:linli`: what web/virtual.d.ts describes. */
function projectModule(project) {
  return {
    name: 'linli-project',
    setup(build) {
      build.onResolve({ filter: /^virtual:linli$/ }, () => ({ path: 'project', namespace: 'linli' }))
      build.onLoad({ filter: /.*/, namespace: 'linli' }, () => ({ contents: moduleText(project), resolveDir: SOURCE }))
    },
  }
}

function moduleText({ app, pages, components, shared }) {
  const names = Object.keys({ ...shared, ...Object.assign({}, ...pages.map((page) => jsonOf(page).usingComponents)) })
  const unitText = (unit) => {
    const json = jsonOf(unit)
    const using = { ...shared, ...json.usingComponents }
    return `${JSON.stringify(unit)}: { json: ${JSON.stringify({ ...json, usingComponents: using })}, run: () => require('./${unit}') }`
  }
  return [
    `export const APP = ${JSON.stringify(app)}`,
    `export const PAGES = {${pages.map(unitText).join(',\n')}}`,
    `export const COMPONENTS = {${components.map(unitText).join(',\n')}}`,
    `export const TEMPLATES = ${compileTemplates([...pages, ...components], names)}`,
    `export const PICTURES = ${JSON.stringify(pictures())}`,
    `export const startApp = () => require('./app')`,
  ].join('\n')
}

const PICTURE_TYPES = { '.svg': 'image/svg+xml', '.png': 'image/png' }

/** Every icon travels with the code: one that was fetched when first shown would be missing just when the network is. */
function pictures() {
  const names = readdirSync(join(SOURCE, 'assets'), { recursive: true }).filter((name) => PICTURE_TYPES[extname(name)])
  return Object.fromEntries(names.sort().map((name) => {
    const content = readFileSync(join(SOURCE, 'assets', name)).toString('base64')
    return [`/assets/${name}`, `data:${PICTURE_TYPES[extname(name)]};base64,${content}`]
  }))
}

const inlineImports = (path) => readSource(path).replace(/@import "\.\/(.+?)";/g, (_, imported) => readSource(imported))

async function styles(project) {
  const native = styleFiles(project).map(inlineImports).join('\n')
  const inBrowser = native
    .replace(/(\d+(?:\.\d+)?)rpx/g, (_, size) => `${Number(size) / RPX_PER_VIEWPORT}vw`)
    .replace(/(^|[\s,{}])page(?=[\s,{])/g, '$1body')
  const host = readFileSync(join(ROOT, 'web/host.css'), 'utf8')
  const { code } = await esbuild.transform(host + inBrowser, { loader: 'css', minify: true, charset: 'utf8' })
  return code
}
