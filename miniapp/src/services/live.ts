/** Keeping an open page fresh: server-sent events where the host has them, and asking again where it has not. */

import { API } from './trust'

const POLL_MS = 4_000

/** Calls `refresh` when records of these kinds may have been ordered; returns the function that ends it. */
export function watch(kinds: readonly string[], refresh: () => void): () => void {
  const timer = setInterval(refresh, POLL_MS)
  const stop = wx.linli?.watchEvents(API + '/events', kinds, refresh) ?? (() => undefined)
  return () => {
    clearInterval(timer)
    stop()
  }
}
