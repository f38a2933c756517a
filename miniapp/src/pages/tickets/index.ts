/** My reports, and the way to a new one. */

import { api } from '../../services/api'
import { hasTicketDraft } from '../../services/drafts'
import { isMember } from '../../services/identity'
import { serverNow } from '../../services/records'
import { settings } from '../../services/settings'
import { ticketRow, type TicketRow } from '../../texts/tickets'
import { definePage, replaceWith } from '../../page'

definePage({
  title: (texts) => texts.tickets.title,
  sections: ['tickets'],
  data: { rows: [] as TicketRow[], isEmpty: false, hasDraft: false },

  async load() {
    if (!isMember()) return replaceWith('pages/join/index')
    const { items } = await api.myTickets()
    const rows = items.map((ticket) => ticketRow(ticket, settings().language, serverNow(), this.texts))
    this.setData({ rows, isEmpty: rows.length === 0, hasDraft: hasTicketDraft() })
  },
})
