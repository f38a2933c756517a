/** Which node is asked: the current one, and when it cannot be reached the next. A stopped node is not the end. */

import type { NodeAddress } from './api-types'
import { ApiProblem, exchange, NetworkError, type Answer, type Exchange } from './http'
import { dropToken, tokenFor } from './session'
import { settings } from './settings'
import { addresses, API } from './trust'

let current = ''

export async function nodesInOrder(): Promise<readonly NodeAddress[]> {
  const nodes = await addresses()
  const at = Math.max(
    0,
    nodes.findIndex((node) => node.id === current),
  )
  return [...nodes.slice(at), ...nodes.slice(0, at)]
}

export async function askAny(path: string, options: Exchange = {}): Promise<Answer> {
  return tryNodes((node) => exchange(node.url + API + path, withLanguage(options)))
}

/** With this member's session at whichever node answers. */
export async function askAsMember(path: string, options: Exchange = {}): Promise<Answer> {
  return tryNodes((node) =>
    withSession(node, (header) => {
      return exchange(node.url + API + path, withLanguage({ ...options, header: { ...options.header, ...header } }))
    }),
  )
}

export async function askNode(node: NodeAddress, path: string, options: Exchange = {}): Promise<Answer> {
  return exchange(node.url + API + path, withLanguage(options))
}

/** At one organisation's own node: some questions are answered to its own staff only. */
export async function askOrganisation(id: string, path: string, options: Exchange = {}): Promise<Answer> {
  const node = (await nodesInOrder()).find((one) => one.id === id)
  if (!node) throw new NetworkError('no address of ' + id)
  return withSession(node, (header) => exchange(node.url + API + path, withLanguage({ ...options, header })))
}

/** With this member's session at one organisation's node; `url` is that of its API. */
export async function atOrganisation(
  id: string,
  action: (url: string, header: Record<string, string>) => Promise<Answer>,
): Promise<Answer> {
  const node = (await nodesInOrder()).find((one) => one.id === id)
  if (!node) throw new NetworkError('no address of ' + id)
  return withSession(node, (header) => action(node.url + API, header))
}

export async function tryNodes<Result>(action: (node: NodeAddress) => Promise<Result>): Promise<Result> {
  let failure: unknown
  for (const node of await nodesInOrder()) {
    try {
      const result = await action(node)
      current = node.id
      return result
    } catch (error) {
      if (!isAbsent(error)) throw error
      failure = error
    }
  }
  throw failure
}

/** A token that expired while we were not looking is replaced once. */
export async function withSession<Result>(
  node: NodeAddress,
  action: (header: Record<string, string>) => Promise<Result>,
): Promise<Result> {
  const attempt = async () => action({ Authorization: 'Bearer ' + (await tokenFor(node)) })
  try {
    return await attempt()
  } catch (error) {
    if (!(error instanceof ApiProblem) || error.status !== 401) throw error
    dropToken(node)
    return attempt()
  }
}

/** Worth asking another node: nobody there, or it says itself that it cannot answer now. */
function isAbsent(error: unknown): boolean {
  return (
    error instanceof NetworkError || (error instanceof ApiProblem && (error.status === 502 || error.status === 503))
  )
}

function withLanguage(options: Exchange): Exchange {
  return { ...options, header: { 'Accept-Language': settings().language, ...options.header } }
}
