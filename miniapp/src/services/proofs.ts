/**
 * The ways to prove who one is besides a code by text message: WeChat's word for the number, and a document shown at the
 * counter. Each ends with one organisation's word, kept in the draft until the key is bound (decisions 13).
 */

import { api } from './api'
import type { Attested, NodeAddress } from './api-types'
import { deviceKey } from './device'
import { joinDraft } from './drafts'
import { ApiProblem } from './http'
import { call, PlatformError } from './platform'
import { store } from './store'

/** Only a host that is WeChat can vouch; a browser cannot. */
export const offersWechat = (): boolean => wx.login !== undefined

/** Keeps an organisation's word; a newer one of the same organisation takes its place. */
export function keepWord(attested: Attested): Attested {
  const draft = joinDraft()
  const others = draft.attested.filter((one) => one.attestation.node !== attested.attestation.node)
  store.write('join', { ...draft, attested: [...others, attested] })
  return attested
}

/**
 * Exchanges WeChat's two codes at one node. Both work once, so every organisation needs a tap of its own; the login code
 * is asked for last, since it lives five minutes.
 */
export async function attestByWechat(node: NodeAddress, phoneCode: string): Promise<Attested> {
  const key = await deviceKey()
  return keepWord(await api.attestWechat(node, await loginCode(), phoneCode, key.jwk))
}

async function loginCode(): Promise<string> {
  const { login } = wx
  if (login === undefined) throw new ApiProblem(503, 'wechat_off', '', {}, 0)
  try {
    const { code } = await call(login, {})
    if (code) return code
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error
  }
  throw new ApiProblem(503, 'wechat_unavailable', '', {}, 0)
}

/** The code of this phone for one organisation's counter, and until when it holds by the node's clock. */
export async function askCounterCode(node: NodeAddress) {
  const key = await deviceKey()
  return api.counterCode(node, key.jwk)
}

/** Whether staff have named this phone's owner by now; their word is kept. Throws ApiProblem once the code has ended. */
export async function fetchCounterWord(node: NodeAddress, code: string): Promise<boolean> {
  const { attested } = await api.counterWord(node, code)
  if (!attested) return false
  keepWord(attested)
  return true
}
