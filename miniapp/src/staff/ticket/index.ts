/** Handling a report: assign, note progress, report the work done with photos. Never "fixed": the reporter says that. */

import { lengthOf } from '../../core/limit'
import { api } from '../../services/api'
import { sentenceOfSettlement } from '../../services/faults'
import type { Settlement } from '../../services/outbox'
import { faultInPhotos, type QueuedPhoto } from '../../services/photos'
import { serverNow } from '../../services/records'
import { settings } from '../../services/settings'
import { store } from '../../services/store'
import { addToTicket, assignTicket, NOTE_LENGTH_MAX } from '../../services/tickets'
import { momentsOf, type Moment } from '../../texts/moments'
import { categoryText, stateText, toneOf } from '../../texts/tickets'
import { definePage } from '../../page'

type Action = '' | 'assign' | 'progress' | 'complete'

definePage({
  title: (texts) => texts.staffTicket.title,
  sections: ['staffTicket', 'ticket', 'ticketNew'],
  data: {
    category: '',
    state: '',
    tone: '',
    place: '',
    text: '',
    contact: '',
    photos: [] as readonly string[],
    moments: [] as Moment[],
    may: { assign: false, progress: false, complete: false },
    mayAny: false,
    action: '' as Action,
    words: '',
    handler: '',
    newPhotos: [] as readonly QueuedPhoto[],
    textMax: NOTE_LENGTH_MAX,
  },

  async load() {
    const ticket = await api.ticket(this.query['id']!)
    const may = {
      assign: ticket.may.includes('assign'),
      progress: ticket.may.includes('progress'),
      complete: ticket.may.includes('complete'),
    }
    const { language } = settings()
    const self = store.read('member')?.member ?? ''
    this.setData({
      category: categoryText(ticket.category, this.texts),
      state: stateText(ticket.state, this.texts),
      tone: toneOf(ticket.state),
      place: ticket.place,
      text: ticket.text,
      contact: ticket.contact,
      photos: ticket.photos,
      moments: momentsOf([...ticket.history].reverse(), self, language, serverNow(), this.texts),
      may,
      mayAny: may.assign || may.progress || may.complete,
    })
  },

  pick(event: TapEvent) {
    this.setData({ action: event.currentTarget.dataset['action'] as Action, note: '' })
  },

  typed(event: ValueEvent) {
    this.setData({ handler: event.detail.value, note: '' })
  },

  typedWords(event: ValueEvent) {
    this.setData({ words: event.detail.value, note: '' })
  },

  photosChanged(event: ValueEvent<readonly QueuedPhoto[]>) {
    this.setData({ newPhotos: event.detail.value })
  },

  toMe() {
    this.setData({ handler: store.read('member')?.member ?? '' })
    return this.send()
  },

  missing(): string {
    const { action, handler, newPhotos, words } = this.data
    const texts = this.texts.staffTicket
    if (action === 'assign') return handler.trim() === '' ? texts.needHandler : ''
    const fault = faultInPhotos(newPhotos)
    if (fault !== null) return this.texts.ticketNew[fault]
    if (action === 'complete' && !newPhotos.some((photo) => photo.state === 'done')) return texts.needPhoto
    if (lengthOf(words) > NOTE_LENGTH_MAX) return this.texts.common.tooLong
    return words.trim() === '' ? texts.needNote : ''
  },

  send() {
    const note = this.missing()
    if (note !== '') return this.setData({ note })
    return this.run(async () => {
      const settlement = await this.sign()
      const sentence = sentenceOfSettlement(settlement, this.texts)
      this.setData({ note: sentence })
      if (settlement.kind !== 'accepted') return
      this.setData({ action: '', words: '', newPhotos: [] })
      await this.reload()
    })
  },

  sign(): Promise<Settlement> {
    const { action, handler, newPhotos, words } = this.data
    const id = this.query['id']!
    if (action === 'assign') return assignTicket(id, handler.trim(), this.data.category)
    const kind = action === 'complete' ? 'ticket.complete' : 'ticket.progress'
    return addToTicket(kind, id, words, newPhotos, this.data.category)
  },
})
