/** What a phone signs to open a session at one node (DESIGN.md 2.6). Bound to the node, so no other node can use it. */

import { canonicalBytes } from './canonical'
import type { DeviceKey } from './device-key'
import { signJws } from './jws'

export interface SessionChallenge {
  readonly challenge: string
  readonly clusterId: string
  readonly node: string
}

export function signSessionProof(challenge: SessionChallenge, key: DeviceKey): string {
  const payload = { challenge: challenge.challenge, cluster_id: challenge.clusterId, node: challenge.node }
  return signJws('linli-session+jws', canonicalBytes(payload), key)
}
