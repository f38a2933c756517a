/** Start page: a few large tiles, the state of the ledger, and what is still on its way. */

import { api } from '../../services/api'
import type { Cluster, SessionInfo } from '../../services/api-types'
import { hasVoted } from '../../services/ballots'
import { hasRole, isMember, whoAmI } from '../../services/identity'
import { outbox } from '../../services/records'
import { store } from '../../services/store'
import { estate, refreshEstate, TrustAlarm } from '../../services/trust'
import { fill, type Texts } from '../../texts'
import { formatNumber } from '../../texts/format'
import { definePage } from '../../page'

type Lamp = 'all' | 'part' | 'none'

definePage({
  title: (texts) => texts.home.title,
  sections: ['home'],
  data: {
    estateName: '',
    hello: '',
    isMember: false,
    lamp: 'none' as Lamp,
    lampText: '',
    lampLabel: '',
    voteHint: '',
    hasDue: false,
    pointsHint: '',
    pendingText: '',
    tools: [] as Tool[],
  },

  async load() {
    const { name } = await estate()
    const member = store.read('member')
    const hello = member ? fill(this.texts.home.hello, { name: member.name }) : this.texts.home.guest
    this.setData({ estateName: name, hello, isMember: isMember(), ...hints(this.texts), ...pending(this.texts) })
    // The page stands already; what follows only fills it in.
    void this.refresh()
  },

  async refresh() {
    const [cluster, session] = await Promise.all([orNull(api.cluster()), isMember() ? orNull(whoAmI()) : null])
    this.setData({ ...lampData(cluster, this.texts), tools: toolsFor(session, this.texts) })
    if (session) this.setData(await numbers(this.texts))
    await refreshEstate().catch((error: unknown) => (error instanceof TrustAlarm ? this.reload() : undefined))
  },
})

interface Tool {
  readonly url: string
  readonly icon: string
  readonly text: string
}

async function orNull<Result>(promise: Promise<Result>): Promise<Result | null> {
  try {
    return await promise
  } catch {
    return null
  }
}

function hints(texts: Texts) {
  return { voteHint: texts.home.voteNone, hasDue: false, pointsHint: texts.home.pointsHint }
}

function pending(texts: Texts) {
  const waiting = outbox.items().length
  return { pendingText: waiting > 0 ? fill(texts.home.pending, { n: waiting }) : '' }
}

async function numbers(texts: Texts) {
  const [motions, account] = await Promise.all([orNull(api.motions()), orNull(api.account())])
  const isDue = (mine: Parameters<typeof hasVoted>[0]) => mine !== undefined && mine.length > 0 && !hasVoted(mine)
  const due = (motions?.items ?? []).filter((motion) => motion.state === 'open' && isDue(motion.mine)).length
  return {
    hasDue: due > 0,
    voteHint: due > 0 ? fill(texts.home.voteCount, { n: due }) : texts.home.voteNone,
    pointsHint: account ? fill(texts.home.pointsBalance, { n: formatNumber(account.balance) }) : texts.home.pointsHint,
  }
}

function lampData(cluster: Cluster | null, texts: Texts) {
  const missing = cluster ? cluster.nodes.filter((node) => !node.reachable).length : 0
  const lamp: Lamp = !cluster ? 'none' : missing === 0 ? 'all' : 'part'
  const lampText = { all: texts.home.lampAll, part: texts.home.lampPart, none: texts.home.lampNone }[lamp]
  return { lamp, lampText, lampLabel: fill(texts.home.lampLabel, { text: lampText }) }
}

function toolsFor(session: SessionInfo | null, texts: Texts): Tool[] {
  const roles = session?.roles ?? []
  const all: (Tool & { role: string })[] = [
    { role: 'merchant', url: '/merchant/charge/index', icon: 'shop', text: texts.home.merchant },
    { role: 'staff', url: '/staff/tickets/index', icon: 'work', text: texts.home.staff },
    { role: 'staff', url: '/staff/grant/index', icon: 'gift', text: texts.home.grant },
    { role: 'committee', url: '/staff/motion/index', icon: 'motion', text: texts.home.motion },
  ]
  return all.filter((tool) => hasRole(roles, tool.role))
}
