/**
 * node build/build.mjs web|weapp [--estate FILE]
 * FILE: JSON {"nodes": [{"id", "name", "url"}], "genesis_sha256", "policy"}, compiled into the WeChat build as its first
 * trust; the web build asks all nodes instead.
 */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './project.mjs'
import { buildWeapp } from './weapp.mjs'
import { buildWeb } from './web.mjs'

const [target, flag, file] = process.argv.slice(2)
const isUsable = (target === 'web' || target === 'weapp') && (flag === undefined || (flag === '--estate' && file))
if (!isUsable) {
  console.error('usage: node build/build.mjs web|weapp [--estate FILE]')
  process.exit(2)
}
const estate = file ? JSON.parse(readFileSync(file, 'utf8')) : null
if (target === 'weapp' && estate === null) console.error('no --estate FILE: this build knows no node to ask')
const output = join(ROOT, 'dist', target)
if (target === 'web') await buildWeb(output, estate)
else console.log(JSON.stringify(await buildWeapp(output, estate)))
