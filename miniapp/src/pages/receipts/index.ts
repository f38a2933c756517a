/** My receipts, and above them what is still on its way. */

import type { OutboxItem } from '../../services/outbox'
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

interface Pending {
  readonly id: string
  readonly title: string
  readonly hint: string
  readonly tone: 'warn' | 'alarm'
  readonly isExpired: boolean
  readonly button: string
}

definePage({
  title: (texts) => texts.receipts.title,
  sections: ['receipts'],
  data: { pending: [] as Pending[], rows: [] as Row[], isEmpty: false },

  load() {
    this.list()
    void refreshGrades().then((isChanged) => isChanged && this.list())
  },

  list() {
    const pending = outbox.items().map((item) => pendingOf(item, this.texts))
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

/** A receipt that did not hold is a warning for as long as it lies here, not a matter of waiting. */
function pendingOf({ id, kind, state, title }: OutboxItem, texts: Texts): Pending {
  const { distrustText, expiredTitle, pendingText, checkAgain, send } = texts.receipts
  const isDistrusted = state === 'distrusted'
  const isExpired = state === 'expired'
  return {
    id,
    title: `${kindText(kind, texts)} · ${title}`,
    hint: isDistrusted ? distrustText : isExpired ? expiredTitle : pendingText,
    tone: isDistrusted ? 'alarm' : 'warn',
    isExpired,
    button: isDistrusted ? checkAgain : send,
  }
}

function rowOf(note: ReceiptNote, texts: Texts): Row {
  const isAccepted = note.outcome === 'accepted'
  const isSealed = note.grade !== 'committed'
  const confirmed = note.barred?.length && isSealed ? texts.receipts.sealedWithout : texts.receipts[note.grade]
  const state = isAccepted ? confirmed : texts.receipts.refused
  const tone = !isAccepted ? 'bad' : isSealed ? 'good' : 'wait'
  const hint = `${kindText(note.kind, texts)} · ${formatTime(settings().language, note.atMs, serverNow())}`
  return { id: note.id, title: note.title, hint, state, tone }
}
