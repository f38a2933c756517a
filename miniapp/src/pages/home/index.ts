/** Start page: a few large tiles, the state of the ledger, and what is still on its way. */

import { api } from '../../services/api'
import type { Cluster, MotionSummary, SessionInfo } from '../../services/api-types'
import { hasVoted } from '../../services/ballots'
import { hasRole, isMember, whoAmI } from '../../services/identity'
import { outbox } from '../../services/records'
import { store } from '../../services/store'
import { estate, refreshEstate, TrustAlarm } from '../../services/trust'
import { fill, type Texts } from '../../texts'
import { formatNumber } from '../../texts/format'
import { definePage } from '../../page'

type Lamp = 'all' | 'part' | 'none'

type PendingTone = 'warn' | 'alarm'

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
    /** Motions that wait for this person's vote, and his balance: null as long as nobody has said. */
    due: null as number | null,
    balance: null as number | null,
    hasDue: false,
    pointsHint: '',
    pendingText: '',
    pendingTone: 'warn' as PendingTone,
    tools: [] as Tool[],
  },

  async load() {
    const { name } = await estate()
    const member = store.read('member')
    // An officer of the founding stands on no roll: nobody knows a name to greet.
    const hello = member?.name ? fill(this.texts.home.hello, { name: member.name }) : this.texts.home.guest
    this.setData({ estateName: name, hello, isMember: isMember(), ...pending(this.texts) })
    if (this.data.lampText === '') this.setData(lampWords(this.texts.home.lampAsking, this.texts))
    this.showNumbers()
    // The page stands already; what follows only fills it in.
    void this.refresh()
  },

  async refresh() {
    const [cluster, session] = await Promise.all([orNull(api.cluster()), isMember() ? orNull(whoAmI()) : null])
    this.setData({ ...lampData(cluster, this.texts), tools: toolsFor(session, this.texts) })
    if (session) await this.count()
    await refreshEstate().catch((error: unknown) => (error instanceof TrustAlarm ? this.reload() : undefined))
  },

  async count() {
    const [motions, account] = await Promise.all([orNull(api.motions()), orNull(api.account())])
    if (motions) this.setData({ due: motions.items.filter(waitsForMe).length })
    if (account) this.setData({ balance: account.balance })
    this.showNumbers()
  },

  showNumbers() {
    this.setData(numbers(this.data.due, this.data.balance, this.texts))
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

/** What did not hold comes first, then what was not delivered, then what is on its way. */
function pending(texts: Texts): { pendingText: string; pendingTone: PendingTone } {
  const states = outbox.items().map((item) => item.state)
  const count = (state: string) => states.filter((one) => one === state).length
  const say = (text: string, n: number, pendingTone: PendingTone) => ({ pendingText: fill(text, { n }), pendingTone })
  if (states.length === 0) return { pendingText: '', pendingTone: 'warn' }
  if (count('distrusted') > 0) return say(texts.home.distrusted, count('distrusted'), 'alarm')
  if (count('expired') > 0) return say(texts.home.expired, count('expired'), 'warn')
  return say(texts.home.pending, states.length, 'warn')
}

function waitsForMe({ mine, state }: MotionSummary): boolean {
  return state === 'open' && mine !== undefined && mine.length > 0 && !hasVoted(mine)
}

/** A number that nobody has told yet is not zero. */
function numbers(due: number | null, balance: number | null, texts: Texts) {
  const { pointsBalance, pointsHint, voteCount, voteHint, voteNone } = texts.home
  return {
    hasDue: due !== null && due > 0,
    voteHint: due === null ? voteHint : due > 0 ? fill(voteCount, { n: due }) : voteNone,
    pointsHint: balance === null ? pointsHint : fill(pointsBalance, { n: formatNumber(balance) }),
  }
}

function lampData(cluster: Cluster | null, texts: Texts) {
  const missing = cluster ? cluster.nodes.filter((node) => !node.reachable).length : 0
  const lamp: Lamp = !cluster ? 'none' : missing === 0 ? 'all' : 'part'
  const lampText = { all: texts.home.lampAll, part: texts.home.lampPart, none: texts.home.lampNone }[lamp]
  return { lamp, ...lampWords(lampText, texts) }
}

function lampWords(lampText: string, texts: Texts) {
  return { lampText, lampLabel: fill(texts.home.lampLabel, { text: lampText }) }
}

function toolsFor(session: SessionInfo | null, texts: Texts): Tool[] {
  const roles = session?.roles ?? []
  const all: (Tool & { role: string })[] = [
    { role: 'merchant', url: '/merchant/charge/index', icon: 'shop', text: texts.home.merchant },
    { role: 'staff', url: '/staff/tickets/index', icon: 'work', text: texts.home.staff },
    { role: 'staff', url: '/staff/grant/index', icon: 'gift', text: texts.home.grant },
    { role: 'committee', url: '/staff/motion/index', icon: 'motion', text: texts.home.motion },
    { role: 'committee', url: '/staff/motions/index', icon: 'vote', text: texts.home.decisions },
    { role: 'staff', url: '/staff/attest/index', icon: 'attest', text: texts.home.attest },
    { role: 'officer', url: '/staff/attest/index', icon: 'attest', text: texts.home.attest },
    { role: 'officer', url: '/staff/roll/index', icon: 'roll', text: texts.home.rollImport },
    { role: 'officer', url: '/staff/people/index', icon: 'person', text: texts.home.people },
    { role: 'officer', url: '/staff/roles/index', icon: 'roles', text: texts.home.roles },
    { role: 'officer', url: '/staff/shops/index', icon: 'shop', text: texts.home.shops },
  ]
  const own = all.filter((tool) => hasRole(roles, tool.role))
  return own.filter((tool, at) => own.findIndex((other) => other.url === tool.url) === at)
}
