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
const estate = file ? readEstate(file) : null
if (target === 'weapp' && estate === null) {
  console.error(
    'The WeChat build needs --estate FILE: in WeChat no page comes from a node, so whom the phone trusts first is compiled in.\n' +
      'FILE is what a node of the estate answers to GET /api/v1/estate, for example:\n' +
      '  curl -o estate.json http://127.0.0.1:8101/api/v1/estate\n' +
      '  npm run build:weapp -- --estate estate.json',
  )
  process.exit(2)
}
const output = join(ROOT, 'dist', target)
if (target === 'web') await buildWeb(output, estate)
else console.log(JSON.stringify(await buildWeapp(output, estate)))

/** Only what the phone needs to begin with; the rest it asks. */
function readEstate(path) {
  const { nodes, genesis_sha256, policy } = JSON.parse(readFileSync(path, 'utf8'))
  const isUsable =
    Array.isArray(nodes) && nodes.some((node) => node.url) && /^[0-9a-f]{64}$/.test(genesis_sha256) && typeof policy === 'string'
  if (!isUsable) {
    console.error(`${path} is no estate: it needs "nodes" with an address, "genesis_sha256" and "policy".`)
    process.exit(2)
  }
  return { nodes, genesis_sha256, policy }
}
