/** One folder for all that a run of tests writes, gone when the run ends, fails or is interrupted. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Called by vitest before it starts its workers, which inherit the folder; the answer is called when all have ended. */
export default function makeScratch(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'linli-tests-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  process.env['TMPDIR'] = folder
  process.prependOnceListener('exit', remove) // vitest's own listener ends the process at once
  return remove
}
