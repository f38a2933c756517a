import { beforeEach, describe, expect, it } from 'vitest'
import { deviceKey } from '../../src/services/device'
import { joinDraft } from '../../src/services/drafts'
import { ApiProblem, NetworkError } from '../../src/services/http'
import { askCounterCode, attestByWechat, fetchCounterWord, offersWechat } from '../../src/services/proofs'

type Request = WxRequest & WxCallbacks<WxResponse>

const street = { id: 'street', name: '街道', url: 'https://street.example' }
const owners = { id: 'owners', name: '业委会', url: 'https://owners.example' }
const attested = (node: string, evidence = 'wechat') => ({
  member: 'm-1',
  attestation: { evidence, node, signature: 's', time_ms: 1 },
})

/** WeChat's runtime as far as these services use it, and what the nodes answer. */
class Host {
  readonly storage = new Map<string, unknown>()
  readonly posted: { url: string; data: unknown }[] = []
  logins = 0
  answer: (url: string) => { status: number; body: unknown } | null = () => null

  offer(login?: Wechat['login']): void {
    const host = this
    const wx = {
      getStorageSync: (key: string) => host.storage.get(key) ?? '',
      setStorageSync: (key: string, value: unknown) => void host.storage.set(key, structuredClone(value)),
      removeStorageSync: (key: string) => void host.storage.delete(key),
      getAppBaseInfo: () => ({ language: 'zh_CN' }),
      getRandomValues: ({ length, success }: { length: number; success(result: object): void }) =>
        success({ randomValues: crypto.getRandomValues(new Uint8Array(length)).buffer }),
      request({ url, data, success, fail }: Request) {
        host.posted.push({ url, data })
        const answer = host.answer(url)
        if (answer === null) return fail?.({ errMsg: 'request:fail' })
        success?.({ statusCode: answer.status, data: JSON.stringify(answer.body), header: {} })
      },
      ...(login ? { login } : {}),
    }
    Object.assign(globalThis, { wx, LINLI_ESTATE: null })
  }
}

let host: Host
const loginGives =
  (code: string): Wechat['login'] =>
  ({ success }) => {
    host.logins++
    success?.({ code: code + host.logins })
  }

beforeEach(() => {
  host = new Host()
})

describe('WeChat as a way of proof', () => {
  it('is offered only where the host has wx.login', () => {
    host.offer()
    expect(offersWechat()).toBe(false)
    host.offer(loginGives('l'))
    expect(offersWechat()).toBe(true)
  })

  it('shows both codes and this key to one node, and keeps its word', async () => {
    host.offer(loginGives('login-'))
    host.answer = () => ({ status: 200, body: attested('street') })
    await attestByWechat(street, 'phone-1')
    const { jwk } = await deviceKey()
    expect(host.posted).toEqual([
      {
        url: 'https://street.example/api/v1/identity/wechat-attestation',
        data: { login_code: 'login-1', phone_code: 'phone-1', device_key: jwk },
      },
    ])
    expect(joinDraft().attested).toEqual([attested('street')])
  })

  it('asks WeChat for a new login code for every organisation, and keeps one word of each', async () => {
    host.offer(loginGives('login-'))
    host.answer = (url) => ({ status: 200, body: attested(url.includes('street') ? 'street' : 'owners') })
    await attestByWechat(street, 'phone-1')
    await attestByWechat(owners, 'phone-2')
    await attestByWechat(street, 'phone-3')
    expect(host.posted.map(({ data }) => (data as { login_code: string }).login_code)).toEqual([
      'login-1',
      'login-2',
      'login-3',
    ])
    expect(joinDraft().attested.map((one) => one.attestation.node)).toEqual(['owners', 'street'])
  })

  it.each(['wechat_code_invalid', 'wechat_phone_unknown', 'wechat_unavailable'])(
    'passes on what the node says (%s) and keeps nothing',
    async (code) => {
      host.offer(loginGives('login-'))
      host.answer = () => ({ status: 401, body: { code, detail: 'd' } })
      await expect(attestByWechat(street, 'phone-1')).rejects.toMatchObject({ code })
      expect(joinDraft().attested).toEqual([])
    },
  )

  it('says that WeChat does not answer when wx.login fails, and asks no node', async () => {
    host.offer(({ fail }) => fail?.({ errMsg: 'login:fail' }))
    await expect(attestByWechat(street, 'phone-1')).rejects.toMatchObject({ code: 'wechat_unavailable' })
    expect(host.posted).toEqual([])
  })

  it('says that it is off where the host has no wx.login', async () => {
    host.offer()
    await expect(attestByWechat(street, 'phone-1')).rejects.toBeInstanceOf(ApiProblem)
    expect(host.posted).toEqual([])
  })

  it('tells a node that is away from one that refuses', async () => {
    host.offer(loginGives('login-'))
    await expect(attestByWechat(street, 'phone-1')).rejects.toBeInstanceOf(NetworkError)
  })
})

describe('the counter as a way of proof', () => {
  beforeEach(() => host.offer())

  it('gives the node this key and shows the code it answers', async () => {
    host.answer = () => ({ status: 200, body: { code: 'ABCD2345', expires_ms: 9 } })
    expect(await askCounterCode(street)).toEqual({ code: 'ABCD2345', expires_ms: 9 })
    expect(host.posted[0]!.data).toEqual({ device_key: (await deviceKey()).jwk })
  })

  it('waits until staff have named the owner, then keeps their word', async () => {
    const words: unknown[] = [{ kid: 'k' }, { kid: 'k', attested: attested('street', 'document') }]
    host.answer = () => ({ status: 200, body: words.shift() })
    expect(await fetchCounterWord(street, 'ABCD2345')).toBe(false)
    expect(joinDraft().attested).toEqual([])
    expect(await fetchCounterWord(street, 'ABCD2345')).toBe(true)
    expect(joinDraft().attested).toEqual([attested('street', 'document')])
  })

  it('says when the code has ended', async () => {
    host.answer = () => ({ status: 404, body: { code: 'counter_code_unknown' } })
    await expect(fetchCounterWord(street, 'ABCD2345')).rejects.toMatchObject({ code: 'counter_code_unknown' })
  })
})
