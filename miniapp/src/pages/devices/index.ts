/** Which phones act for this person, who vouched for each, and one tap to switch one off. */

import { api } from '../../services/api'
import type { Device } from '../../services/api-types'
import { deviceKey } from '../../services/device'
import { sentenceOfSettlement } from '../../services/faults'
import { ATTESTATIONS, isMember, revokeDevice } from '../../services/identity'
import { serverNow } from '../../services/records'
import { settings } from '../../services/settings'
import { estate } from '../../services/trust'
import { fill, type Texts } from '../../texts'
import { formatTime } from '../../texts/format'
import { ask, definePage, go, replaceWith } from '../../page'

interface Row {
  readonly kid: string
  readonly isThis: boolean
  readonly bound: string
  readonly organisations: string
  readonly votes: string
  readonly isRevoked: boolean
}

definePage({
  title: (texts) => texts.devices.title,
  sections: ['devices'],
  data: { rows: [] as Row[], isBound: true },

  async load() {
    if (!isMember()) return replaceWith('pages/join/index')
    const [{ items }, key, { nodes }] = await Promise.all([api.devices(), deviceKey(), estate()])
    const nameOf = (id: string) => nodes.find((node) => node.id === id)?.name ?? id
    const rows = items.map((device) => rowOf(device, key.kid, nameOf, this.texts))
    this.setData({ rows, isBound: rows.some((row) => row.isThis && !row.isRevoked) })
  },

  bind() {
    go('pages/join/index')
  },

  revoke(event: TapEvent) {
    const kid = String(event.currentTarget.dataset['kid'])
    const { common, devices } = this.texts
    return this.run(async () => {
      if (!(await ask(devices.revoke, devices.revokeAsk, devices.revoke, common.cancel))) return
      const settlement = await revokeDevice(kid, devices.revoke)
      this.setData({ note: sentenceOfSettlement(settlement, this.texts) })
      if (settlement.kind === 'accepted') await this.reload()
    })
  },
})

function rowOf(device: Device, ownKid: string, nameOf: (id: string) => string, texts: Texts): Row {
  const at = (ms: number) => formatTime(settings().language, ms, serverNow())
  return {
    kid: device.kid,
    isThis: device.kid === ownKid,
    bound: fill(texts.devices.bound, { time: at(device.bound_ms) }),
    organisations: device.attested_by.map(nameOf).join('、'),
    votes: votesText(device, at, texts),
    isRevoked: device.revoked,
  }
}

function votesText(device: Device, at: (ms: number) => string, texts: Texts): string {
  if (device.revoked) return texts.devices.revoked
  if (device.attested_by.length < ATTESTATIONS) return texts.devices.oneOrganisation
  return device.votes_from_ms > serverNow()
    ? fill(texts.devices.votesFrom, { time: at(device.votes_from_ms) })
    : texts.devices.votes
}
