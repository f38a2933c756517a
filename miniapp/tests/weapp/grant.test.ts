import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { BareRuntime, type OpenPage } from './bare-runtime'
// @ts-expect-error plain JavaScript without types
import { buildWeapp } from '../../build/weapp.mjs'

const folder = mkdtempSync(join(tmpdir(), 'linli-weapp-grant-'))

beforeAll(async () => {
  await buildWeapp(folder, null)
})

function type(page: OpenPage, field: string, value: string): void {
  const event = { currentTarget: { dataset: { field } }, detail: { value } }
  ;(page['typed'] as (event: ValueEvent) => void).call(page, event)
}

describe('giving points', () => {
  it('says while typing that a code word has a wrong sign, and takes it back when it is mended', () => {
    const runtime = new BareRuntime(folder, () => undefined)
    runtime.load('app')
    runtime.load('staff/grant/index')
    const page = runtime.open('staff/grant/index')
    for (const wrong of ['义务植树', 'Tree', '-tree', 'a b']) {
      type(page, 'activity', wrong)
      expect(page.data, wrong).toMatchObject({ activity: wrong, activityBad: true, programmeBad: false })
    }
    for (const good of ['tree-day-2026', '3rd_day', '']) {
      type(page, 'activity', good)
      expect(page.data, good).toMatchObject({ activityBad: false })
    }
    type(page, 'programme', '志愿')
    expect(page.data).toMatchObject({ programmeBad: true, activityBad: false })
  })
})
