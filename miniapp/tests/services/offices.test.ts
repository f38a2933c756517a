import { describe, expect, it } from 'vitest'
import type { Offices, Preview, RollStanding, RollWaiting } from '../../src/services/generated'
import { isOvertaken, isRoster, isSigned, relationOf } from '../../src/services/offices'
import { textsOf } from '../../src/texts'
import { heldRow, holds, personText, waitingChange } from '../../src/texts/roles'
import { changeRows, changeSummary, relationText, totalsOf, waitingRow } from '../../src/texts/rolls'

const zh = textsOf('zh-CN')
const names: Record<string, string> = { street: '居委会', owners: '业委会', property: '物业' }
const nameOf = (id: string) => names[id] ?? id

describe('two officers sign at the same time', () => {
  const refused = (code: string) => ({ kind: 'refused' as const, id: 'r', code, detail: '', onLedger: true })

  it('who was slower goes on with what is left', () => {
    expect(isOvertaken(refused('roll_part_out_of_order'))).toBe(true)
    expect(isOvertaken(refused('already_approved'))).toBe(true)
  })

  it('a copy that differs is no matter of speed', () => {
    expect(isOvertaken(refused('roll_differs'))).toBe(false)
    expect(isOvertaken({ kind: 'expired', id: 'r' })).toBe(false)
  })
})

const preview = (change: Partial<Preview> = {}): Preview => ({
  import_id: 'i',
  root: 'R',
  good_lines: 1_200,
  duplicate_lines: 0,
  bad_lines: [],
  notices: [],
  homes: 1_000,
  owners: 1_100,
  heads: 990,
  total_area: '124799.30',
  difference: {},
  differences: [],
  ...change,
})
const waiting = (change: Partial<RollWaiting> = {}): RollWaiting => ({
  id: 'roll-r',
  root: 'R',
  heads: 990,
  area_cm2: 1_247_993_000,
  parts: 4,
  parts_published: 4,
  confirmed_by: ['owners'],
  published_ms: 1_780_000_000_000,
  ...change,
})
const standing = (change: Partial<RollStanding> = {}): RollStanding => ({
  approvals: 2,
  waiting: [],
  in_use: '',
  staged: '',
  ...change,
})

describe('a roster', () => {
  it('is known by its name, whatever the letters', () => {
    expect(['a.xlsx', 'A.XLSX', '名册.csv'].map(isRoster)).toEqual([true, true, true])
    expect(['a.xls', 'a.pdf', 'xlsx', 'csv.exe', ''].some(isRoster)).toBe(false)
  })

  it('is compared with what other organisations published, not with what we did', () => {
    expect(relationOf(preview(), [], 'street')).toEqual({ kind: 'new' })
    expect(relationOf(preview(), [waiting()], 'street')).toEqual({ kind: 'same', nodes: ['owners'] })
    expect(relationOf(preview(), [waiting({ root: 'other' })], 'street')).toEqual({ kind: 'differs', nodes: ['owners'] })
    expect(relationOf(preview(), [waiting({ root: 'other' })], 'owners')).toEqual({ kind: 'new' })
    expect(relationOf(preview(), [waiting({ root: 'x' }), waiting()], 'street').kind).toBe('same')
  })

  it('warns of another roll by the name of who published it', () => {
    const relation = relationOf(preview(), [waiting({ root: 'other' })], 'street')
    expect(relationText(relation, nameOf, zh)).toContain('业委会')
    expect(relationText({ kind: 'new' }, nameOf, zh)).toBe('')
  })

  it('is signed when the ledger says so, in force or waiting', () => {
    expect(isSigned(standing({ waiting: [waiting()] }), 'roll-r', 'owners')).toBe(true)
    expect(isSigned(standing({ waiting: [waiting()] }), 'roll-r', 'street')).toBe(false)
    const in_force = { id: 'roll-r', heads: 1, area_cm2: 1, published_ms: 1 }
    expect(isSigned(standing({ in_force }), 'roll-r', 'street')).toBe(true)
    expect(isSigned(standing(), 'roll-r', 'street')).toBe(false)
  })

  it('shows totals with the area as the node gave it', () => {
    expect(totalsOf(preview(), zh).map(({ value }) => value)).toEqual(['1,000', '1,100', '990', '1,200', '124,799.30 平方米'])
  })

  it('says each difference with the fields in words, once each', () => {
    const differences = [
      { change: 'changed' as const, room: '1-101', name: '王', fields: ['share_numerator', 'share_denominator', 'phone'] },
      { change: 'added' as const, room: '1-102', name: '李', fields: [] },
    ]
    const rows = changeRows(preview({ differences }), zh)
    expect(rows.map(({ hint, mark, text }) => [mark, text, hint])).toEqual([
      ['变更', '1-101 · 王', '份额、电话'],
      ['新增', '1-102 · 李', ''],
    ])
    expect(changeSummary(preview({ difference: { changed: 1, added: 1 } }), false, zh)).toBe('新增 1 · 变更 1')
    expect(changeSummary(preview(), false, zh)).toBe('与在用名册相同，没有差别。')
    expect(changeSummary(preview({ difference: { added: 9 } }), true, zh)).toBe('这是本单位的第一份名册。')
  })

  it('that waits says who is missing, and one half published how far it is', () => {
    const row = (one: RollWaiting) => waitingRow(one, standing(), nameOf, 'zh-CN', 1_780_000_000_000, zh).hint
    expect(row(waiting())).toBe('业委会已签名，还差 1 家单位')
    expect(row(waiting({ parts_published: 1, confirmed_by: [] }))).toBe('公布到第 1 册，共 4 册')
  })
})

describe('a role', () => {
  const held = { member: 'm-abcd1234', name: '周倩', role: 'staff', organisation: 'property', devices: 1 }

  it('is shown with the name that this organisation knows, else with the end of the id', () => {
    expect(personText(held, zh)).toBe('周倩')
    expect(personText({ ...held, name: '' }, zh)).toBe('本单位未登记（编号 1234）')
    expect(personText({ ...held, name: '', role: 'officer' }, zh)).toBe('负责人')
  })

  it('of an officer cannot be taken back on a screen', () => {
    expect(heldRow(held, 0, nameOf, zh)).toMatchObject({ hint: '工作人员 · 物业', mayTake: true })
    expect(heldRow({ ...held, name: '', role: 'officer' }, 0, nameOf, zh)).toMatchObject({ hint: '物业', mayTake: false })
    expect(heldRow({ ...held, devices: 0 }, 0, nameOf, zh).hint).toContain('还没有登记手机')
  })

  it('that waits is offered for signing to who has not signed', () => {
    const change = { change: 'grant' as const, ...held, approved_by: ['street'] }
    expect(waitingChange(change, 0, 'owners', nameOf, zh)).toMatchObject({ isMine: false, hint: '居委会已签名' })
    expect(waitingChange(change, 0, 'street', nameOf, zh)).toMatchObject({ isMine: true })
  })

  it('holds when the ledger has it, and is taken back when it has it no more', () => {
    const offices: Offices = { approvals: 2, held: [held], waiting: [] }
    expect(holds(offices, 'grant', held)).toBe(true)
    expect(holds(offices, 'revoke', held)).toBe(false)
    expect(holds(offices, 'grant', { ...held, organisation: 'street' })).toBe(false)
    expect(holds({ ...offices, held: [] }, 'revoke', held)).toBe(true)
  })
})
