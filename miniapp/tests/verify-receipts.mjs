/**
 * Verifies receipts as a phone does, from genesis and links alone:
 *   node tests/verify-receipts.mjs GENESIS SUCCESSION RECEIPT...
 * Prints a JSON list: of each receipt its grade and who signed it on an abandoned branch, or why it does not verify.
 */

import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const here = dirname(fileURLToPath(import.meta.url))
const contents = `
  export { abandonedBy, followLinks, policyBySize } from '../src/core/succession'
  export { readBranch, verifyReceipt } from '../src/core/receipt'
`
const options = { bundle: true, format: 'esm', write: false, logLevel: 'error' }
const built = await build({ ...options, stdin: { contents, resolveDir: here, loader: 'ts' }, absWorkingDir: join(here, '..') })
const code = 'data:text/javascript;base64,' + Buffer.from(built.outputFiles[0].contents).toString('base64')
const { abandonedBy, followLinks, policyBySize, readBranch, verifyReceipt } = await import(code)

const [genesis, succession, ...receipts] = process.argv.slice(2)
const eras = followLinks(new Uint8Array(readFileSync(genesis)), JSON.parse(readFileSync(succession, 'utf8')).links)
const told = receipts.map((path) => {
  const text = readFileSync(path, 'utf8')
  const abandoned = abandonedBy(eras, readBranch(text).note)
  try {
    return { grade: verifyReceipt(text, policyBySize(eras)).grade, abandoned }
  } catch (error) {
    return { fault: String(error.message), abandoned }
  }
})
console.log(JSON.stringify(told))
