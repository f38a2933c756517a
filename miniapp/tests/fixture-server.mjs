/**
 * A stand-in for three nodes, for looking at the pages while there is no cluster at hand. Development only: it keeps
 * everything in memory and trusts codes it made up, but its log, signatures and receipts are real, so the app verifies
 * them as it would verify those of a node.
 *
 * node tests/fixture-server.mjs [first port, default 8701]; serves dist/web at each of the three ports.
 */

import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import esbuild from 'esbuild'

const here = dirname(fileURLToPath(import.meta.url))
const built = await esbuild.build({
  entryPoints: [join(here, 'fixture/server.ts')],
  bundle: true,
  platform: 'node',
  format: 'esm',
  write: false, // who ends this program kills it, so it leaves no file behind
})
const program = Buffer.from(built.outputFiles[0].contents).toString('base64')
const { serve } = await import(`data:text/javascript;base64,${program}`)
const port = Number(process.argv[2] ?? 8701)
await serve(port, join(here, '../dist/web'))
console.log(`http://127.0.0.1:${port}`)
