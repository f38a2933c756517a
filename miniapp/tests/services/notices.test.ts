import { beforeEach, describe, expect, it, vi } from 'vitest'
import { checkpointNote, checkpointText } from '../core/log-builder'
import { entriesOf, LogNode, Phone } from './log-nodes'

let phone: Phone
let notices: typeof import('../../src/services/notices')
const sheet = (size: number, changedFrom?: number) => checkpointText(entriesOf(size, changedFrom))

beforeEach(async () => {
  vi.resetModules()
  phone = new Phone((['street', 'owners', 'property'] as const).map((id) => new LogNode(id, entriesOf(300))))
  notices = await import('../../src/services/notices')
})

describe('the sheet', () => {
  it('says origin, size and root of the newest checkpoint, and who signed it', async () => {
    phone.nodes[0]!.signers = ['street', 'property']
    const { lines, signers, size } = await notices.newestNotice()
    expect([size, signers]).toEqual([300, ['street', 'property']])
    expect(lines.join('\n') + '\n').toBe(sheet(300))
  })

  it('comes from another node when the first is away', async () => {
    phone.nodes[0]!.isAway = true
    expect((await notices.newestNotice()).size).toBe(300)
  })

  it('is not printed from nothing', async () => {
    for (const node of phone.nodes) node.isAway = true
    await expect(notices.newestNotice()).rejects.toThrow()
  })
})

describe('a sheet on the wall', () => {
  it.each<[string, string, string]>([
    ['of today', sheet(300), 'same'],
    ['of last week', sheet(120), 'same'],
    ['scanned with the lines of a PC', sheet(120).replaceAll('\n', '\r\n'), 'same'],
    ['of today that says something else', sheet(300, 299), 'differs'],
    ['of last week that says something else', sheet(120, 7), 'differs'],
    ['of the future', sheet(400), 'unproven'],
    ['of another estate', sheet(120).replace('xiangshanyuan', 'qingfengyuan'), 'other'],
    ['without a number', sheet(120).replace('120', '1e2'), 'other'],
    ['with a root cut short', sheet(120).slice(0, -9), 'other'],
    ['that is a shop', 'https://shop.example/pay', 'other'],
  ])('%s', async (_, text, comparison) => {
    await notices.newestNotice()
    expect(await notices.compareNotice(text)).toBe(comparison)
    expect(phone.stored<{ alarm?: string }>('trust')!.alarm).toBeUndefined()
  })

  it('proves nothing while no node shows the ledger', async () => {
    await notices.newestNotice()
    for (const node of phone.nodes) node.isAway = true
    expect(await notices.compareNotice(sheet(120, 7))).toBe('unproven')
    expect(await notices.compareNotice(checkpointNote(entriesOf(300)))).toBe('same')
  })
})
