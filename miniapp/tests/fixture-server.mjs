/**
 * A stand-in for three nodes, for looking at the pages while there is no cluster at hand. Development only: it keeps
 * everything in memory and trusts codes it made up, but its log, signatures and receipts are real, so the app verifies
 * them as it would verify those of a node.
 *
 * node tests/fixture-server.mjs [first port, default 8701]; serves dist/web at each of the three ports.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import esbuild from 'esbuild'

const here = dirname(fileURLToPath(import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'linli-fixture-'))
const outfile = join(folder, 'server.mjs')
await esbuild.build({
  entryPoints: [join(here, 'fixture/server.ts')],
  bundle: true,
  platform: 'node',
  format: 'esm',
  outfile,
})
const { serve } = await import(pathToFileURL(outfile))
rmSync(folder, { recursive: true }) // it is loaded; who ends this program kills it
const port = Number(process.argv[2] ?? 8701)
await serve(port, join(here, '../dist/web'))
console.log(`http://127.0.0.1:${port}`)
