/** Keeping an open page fresh: server-sent events where the host has them, and asking again where it has not. */

import { API, knownEstate } from './trust'

const POLL_MS = 4_000

/** Calls `refresh` when something may have changed; returns the function that ends it. */
export function watch(refresh: () => void, pollMs = POLL_MS): () => void {
  const timer = setInterval(refresh, pollMs)
  const own = knownEstate()?.nodes[0]
  const stop = own && wx.linli ? wx.linli.watchEvents(API + '/events', refresh) : () => undefined
  return () => {
    clearInterval(timer)
    stop()
  }
}
