import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { BareRuntime, type OpenPage } from './bare-runtime'
import { POLICY } from '../core/log-builder'
// @ts-expect-error plain JavaScript without types
import { buildWeapp } from '../../build/weapp.mjs'

const folder = mkdtempSync(join(tmpdir(), 'linli-weapp-join-'))
const nodes = ['street', 'owners', 'property'].map((id) => ({ id, name: id, url: `https://${id}.example` }))
const compiled = { nodes, genesis_sha256: 'ab'.repeat(32), policy: POLICY }
const estate = {
  id: 'garden',
  name: '花园',
  cluster_id: 'q'.repeat(43),
  origin: 'o',
  genesis_sha256: compiled.genesis_sha256,
  policy: POLICY,
  phone: '021',
  privacy: { version: 1, zh: '说明', en: 'notice' },
  nodes,
  server_ms: 1,
}

beforeAll(async () => {
  await buildWeapp(folder, compiled)
})

type Say = (node: string, path: string) => { status: number; body: unknown } | null

/** The page in WeChat: `wx.login` gives codes; the notice was agreed to. */
async function openJoin(say: Say, hasLogin = true) {
  const asked: string[] = []
  let logins = 0
  const login = ({ success }: WxCallbacks<{ code: string }>) => success?.({ code: `login-${++logins}` })
  const runtime = new BareRuntime(
    folder,
    ({ url, success, fail }) => {
      const [, node, path] = /^https:\/\/(\w+)\.example\/api\/v1(.*)$/.exec(url)!
      if (path === '/estate') return success?.({ statusCode: 200, data: JSON.stringify(estate), header: {} })
      asked.push(`${node} ${path}`)
      const answer = say(node!, path!)
      if (answer === null) return fail?.({ errMsg: 'request:fail' })
      success?.({ statusCode: answer.status, data: JSON.stringify(answer.body), header: {} })
    },
    hasLogin ? { login } : {},
  )
  runtime.load('app')
  runtime.load('pages/join/index')
  runtime.storage.set('linli.1.privacy', { version: 1, agreedMs: 1 })
  const page = runtime.open('pages/join/index')
  await settled()
  return { page, asked, runtime }
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 60))
const attested = (node: string) => ({
  status: 200,
  body: { member: 'm-1', attestation: { evidence: 'wechat', node, signature: 's', time_ms: 1 } },
})

async function tapWechat(page: OpenPage, detail: PhoneNumberEvent['detail']): Promise<void> {
  void (page['gotPhone'] as (event: PhoneNumberEvent) => unknown).call(page, { detail })
  await settled()
}

describe('joining in WeChat', () => {
  it('offers WeChat first, and not where the host has none', async () => {
    expect((await openJoin(() => null)).page.data).toMatchObject({ hasWechat: true, wechatText: '用微信核实' })
    expect((await openJoin(() => null, false)).page.data).toMatchObject({ hasWechat: false })
  })

  it('asks one organisation a tap, and says who comes next', async () => {
    const { page, asked } = await openJoin(attested)
    await tapWechat(page, { code: 'phone-1' })
    expect(asked).toEqual(['street /identity/wechat-attestation'])
    expect(page.data).toMatchObject({ stage: 'claim', number: 2, wechatText: '由owners用微信核对' })
    expect(page.data['verified']).toEqual(['street已核对'])
  })

  it('goes on to the next organisation when one is away or does not offer WeChat, with the same codes', async () => {
    const { page, asked } = await openJoin((node) => {
      if (node === 'street') return null
      return node === 'owners' ? { status: 503, body: { code: 'wechat_off' } } : attested(node)
    })
    await tapWechat(page, { code: 'phone-1' })
    expect(asked.map((one) => one.split(' ')[0])).toEqual(['street', 'owners', 'property'])
    expect(page.data['verified']).toEqual(['property已核对'])
  })

  it('does not take a spent code to another organisation, and says what to do', async () => {
    const { page, asked } = await openJoin(() => ({ status: 401, body: { code: 'wechat_code_invalid' } }))
    await tapWechat(page, { code: 'phone-1' })
    expect(asked).toHaveLength(1)
    expect(page.data).toMatchObject({ stage: 'claim', busy: false, note: '微信授权已过期或已用过，请再点一次微信核实。' })
  })

  it('asks nobody when the person says no in WeChat', async () => {
    const { page, asked } = await openJoin(attested)
    await tapWechat(page, { errMsg: 'getPhoneNumber:fail user deny' })
    expect(asked).toEqual([])
    expect(page.data).toMatchObject({ note: '您没有授权手机号。可以改用短信验证码。' })
  })

  it('binds the phone once two organisations have vouched', async () => {
    const { page, asked } = await openJoin((node, path) =>
      path.endsWith('attestation') ? attested(node) : { status: 409, body: { code: 'attestation_expired' } },
    )
    await tapWechat(page, { code: 'phone-1' })
    await tapWechat(page, { code: 'phone-2' })
    expect(asked.slice(0, 2).map((one) => one.split(' ')[0])).toEqual(['street', 'owners'])
    expect(asked).toContain('street /records')
    // What was said has expired: everything begins again, and the words are gone.
    expect(page.data).toMatchObject({ stage: 'claim', number: 1, verified: [] })
    expect(page.data['note']).toContain('核对已过期')
  })
})
