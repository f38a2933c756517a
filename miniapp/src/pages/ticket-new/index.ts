/** A new report: photo first, then what, where and a few words. Every change is kept in the draft. */

import { EMPTY_TICKET, ticketDraft, type TicketDraft } from '../../services/drafts'
import { sentenceOfSettlement } from '../../services/faults'
import type { Settlement } from '../../services/outbox'
import { faultInPhotos, forgetPhoto, type QueuedPhoto } from '../../services/photos'
import { store } from '../../services/store'
import { CATEGORIES, isTooLong, reportTicket, roomFor } from '../../services/tickets'
import { categoryText } from '../../texts/tickets'
import { outcomeTitle } from '../../texts/outcomes'
import { definePage } from '../../page'

definePage({
  title: (texts, { outcome }) =>
    outcome ? outcomeTitle(outcome, texts.common, texts.ticketNew.done) : texts.ticketNew.title,
  sections: ['ticketNew'],
  keeps: true,
  data: {
    draft: EMPTY_TICKET,
    categories: [] as { id: string; text: string }[],
    textMax: roomFor('ticket.report', 'text'),
    placeMax: roomFor('ticket.report', 'place'),
    contactMax: roomFor('ticket.report', 'contact'),
    outcome: '' as '' | Settlement['kind'],
    outcomeText: '',
    receipt: '',
  },

  load() {
    const categories = CATEGORIES.map((id) => ({ id, text: categoryText(id, this.texts) }))
    this.setData({ draft: ticketDraft(), categories })
  },

  change(change: Partial<TicketDraft>) {
    const draft = { ...ticketDraft(), ...change }
    store.write('ticket', draft)
    this.setData({ draft, note: '' })
  },

  photosChanged(event: ValueEvent<readonly QueuedPhoto[]>) {
    this.change({ photos: event.detail.value })
  },

  choose(event: ValueEvent) {
    this.change({ category: event.detail.value })
  },

  typed(event: ValueEvent) {
    this.change({ [event.currentTarget.dataset['field'] as 'place' | 'contact']: event.detail.value })
  },

  typedText(event: ValueEvent) {
    this.change({ text: event.detail.value })
  },

  atHome(event: ValueEvent<boolean>) {
    this.change({ home: event.detail.value })
  },

  discard() {
    ticketDraft().photos.forEach(forgetPhoto)
    store.remove('ticket')
    this.change(EMPTY_TICKET)
  },

  /** A sentence for the first thing that is missing, or ''. */
  missing(): string {
    const { category, photos, place, text } = ticketDraft()
    const texts = this.texts.ticketNew
    const fault = faultInPhotos(photos)
    if (fault !== null) return texts[fault]
    if (category === '') return texts.needCategory
    if (place.trim() === '') return texts.needPlace
    if (isTooLong(ticketDraft())) return this.texts.common.tooLong
    return text.trim() === '' && !photos.some((photo) => photo.state === 'done') ? texts.needText : ''
  },

  send() {
    const note = this.missing()
    if (note !== '') return this.setData({ note })
    return this.run(async () => {
      const draft = ticketDraft()
      const settlement = await reportTicket(draft, categoryText(draft.category, this.texts))
      if (settlement.kind === 'refused') return this.setData({ note: sentenceOfSettlement(settlement, this.texts) })
      this.setData({
        outcome: settlement.kind,
        outcomeText: sentenceOfSettlement(settlement, this.texts) || this.texts.common.recorded,
        receipt: settlement.id,
      })
      this.retitle()
    })
  },

  done() {
    wx.navigateBack({})
  },
})
