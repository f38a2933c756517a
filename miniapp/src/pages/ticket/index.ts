/** One report with all that was done about it. Only its reporter says that it is fixed. */

import { lengthOf } from '../../core/limit'
import { api } from '../../services/api'
import type { Ticket, TicketStep } from '../../services/api-types'
import { sentenceOfSettlement } from '../../services/faults'
import { faultInPhotos, type QueuedPhoto } from '../../services/photos'
import { serverNow } from '../../services/records'
import { settings } from '../../services/settings'
import { store } from '../../services/store'
import { addToTicket, confirmTicket, NOTE_LENGTH_MAX } from '../../services/tickets'
import { momentsOf, type Moment } from '../../texts/moments'
import { categoryText, stateText, toneOf } from '../../texts/tickets'
import { definePage } from '../../page'

definePage({
  title: (texts) => texts.ticket.title,
  sections: ['ticket', 'ticketNew'],
  data: {
    category: '',
    state: '',
    tone: '',
    place: '',
    text: '',
    photos: [] as readonly string[],
    moments: [] as Moment[],
    mayConfirm: false,
    mayReopen: false,
    isReopening: false,
    reason: '',
    morePhotos: [] as readonly QueuedPhoto[],
    textMax: NOTE_LENGTH_MAX,
  },

  async load() {
    const ticket = await api.ticket(this.query['id']!)
    this.setData({
      category: categoryText(ticket.category, this.texts),
      state: stateText(ticket.state, this.texts),
      tone: toneOf(ticket.state),
      place: ticket.place,
      text: ticket.text,
      photos: ticket.photos,
      moments: this.moments(ticket),
      mayConfirm: ticket.may.includes('confirm'),
      mayReopen: ticket.may.includes('reopen'),
    })
  },

  moments(ticket: Ticket): Moment[] {
    const newestFirst: readonly TicketStep[] = [...ticket.history].reverse()
    const self = store.read('member')?.member ?? ''
    return momentsOf(newestFirst, self, settings().language, serverNow(), this.texts)
  },

  confirm() {
    return this.run(async () => {
      const settlement = await confirmTicket(this.query['id']!, this.data.category)
      await this.after(sentenceOfSettlement(settlement, this.texts), this.texts.ticket.confirmed)
    })
  },

  startReopening() {
    this.setData({ isReopening: true })
  },

  typed(event: ValueEvent) {
    this.setData({ reason: event.detail.value, note: '' })
  },

  photosChanged(event: ValueEvent<readonly QueuedPhoto[]>) {
    this.setData({ morePhotos: event.detail.value })
  },

  reopen() {
    const { reason, morePhotos } = this.data
    const fault = faultInPhotos(morePhotos)
    if (fault !== null) return this.setData({ note: this.texts.ticketNew[fault] })
    if (reason.trim() === '') return this.setData({ note: this.texts.ticket.needNote })
    if (lengthOf(reason) > NOTE_LENGTH_MAX) return this.setData({ note: this.texts.common.tooLong })
    return this.run(async () => {
      const settlement = await addToTicket('ticket.reopen', this.query['id']!, reason, morePhotos, this.data.category)
      await this.after(sentenceOfSettlement(settlement, this.texts), this.texts.ticket.reopened)
    })
  },

  /** What was not accepted leaves the page as it is, with the reason; the outbox keeps what can still arrive. */
  async after(sentence: string, good: string) {
    this.setData({ note: sentence })
    if (sentence !== '') return
    this.setData({ isReopening: false, reason: '', morePhotos: [] })
    wx.showToast({ title: good, icon: 'success' })
    await this.reload()
  },
})
