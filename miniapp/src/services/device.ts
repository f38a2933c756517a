/** This phone's key: made once from random bytes, kept in the app's storage, gone with it (decisions 26). */

import { decodeHex, encodeHex } from '../core/hex'
import { deviceKeyFromSeed, SEED_BYTES, type DeviceKey } from '../core/device-key'
import { randomBytes } from './platform'
import { store } from './store'

let key: DeviceKey | undefined

export async function deviceKey(): Promise<DeviceKey> {
  if (key) return key
  const seed = store.read('seed')
  if (seed !== undefined) return (key = deviceKeyFromSeed(decodeHex(seed)))
  const fresh = await randomBytes(SEED_BYTES)
  // Stored before it is used: a key that signed something must not be forgotten.
  store.write('seed', encodeHex(fresh))
  return (key = deviceKeyFromSeed(fresh))
}

/** After a revoked key: the next call makes another one. */
export function forgetDeviceKey(): void {
  key = undefined
  store.remove('seed')
}
