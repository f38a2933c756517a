/** The work list of those who handle reports: what waits first. */

import { api } from '../../services/api'
import { serverNow } from '../../services/records'
import { settings } from '../../services/settings'
import { ticketRow, type TicketRow } from '../../texts/tickets'
import { definePage } from '../../page'

const HANDLED = ['done', 'confirmed', 'closed']

definePage({
  title: (texts) => texts.staffTickets.title,
  sections: ['staffTickets'],
  data: { open: [] as TicketRow[], done: [] as TicketRow[], isEmpty: false },

  async load() {
    const { items } = await api.tickets()
    const rows = (isHandled: boolean) =>
      items
        .filter((ticket) => HANDLED.includes(ticket.state) === isHandled)
        .map((ticket) => ticketRow(ticket, settings().language, serverNow(), this.texts))
    this.setData({ open: rows(false), done: rows(true), isEmpty: items.length === 0 })
  },
})
