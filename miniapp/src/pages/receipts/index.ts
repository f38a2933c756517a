/** My receipts, and above them what is still on its way. */

import { outbox, serverNow } from '../../services/records'
import { receiptNotes, type ReceiptNote } from '../../services/receipts'
import { refreshGrades } from '../../services/grades'
import { settings } from '../../services/settings'
import { kindText } from '../../texts/kinds'
import { formatTime } from '../../texts/format'
import { definePage } from '../../page'
import type { Texts } from '../../texts'

interface Row {
  readonly id: string
  readonly title: string
  readonly hint: string
  readonly state: string
  readonly tone: string
}

definePage({
  title: (texts) => texts.receipts.title,
  sections: ['receipts'],
  data: { pending: [] as { id: string; title: string; isExpired: boolean }[], rows: [] as Row[], isEmpty: false },

  load() {
    this.list()
    void refreshGrades().then((isChanged) => isChanged && this.list())
  },

  list() {
    const pending = outbox.items().map((item) => ({
      id: item.id,
      title: `${kindText(item.kind, this.texts)} · ${item.title}`,
      isExpired: item.state === 'expired',
    }))
    const rows = receiptNotes().map((note) => rowOf(note, this.texts))
    this.setData({ pending, rows, isEmpty: rows.length === 0 && pending.length === 0 })
  },

  send() {
    return this.run(async () => {
      await outbox.resume()
      this.list()
    })
  },

  remove(event: TapEvent) {
    outbox.discard(String(event.currentTarget.dataset['id']))
    this.list()
  },
})

function rowOf(note: ReceiptNote, texts: Texts): Row {
  const isAccepted = note.outcome === 'accepted'
  const isSealed = note.grade === 'sealed'
  const state = !isAccepted ? texts.receipts.refused : isSealed ? texts.receipts.sealed : texts.receipts.committed
  const tone = !isAccepted ? 'bad' : isSealed ? 'good' : 'wait'
  const hint = `${kindText(note.kind, texts)} · ${formatTime(settings().language, note.atMs, serverNow())}`
  return { id: note.id, title: note.title, hint, state, tone }
}
