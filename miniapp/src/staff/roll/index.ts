/**
 * An officer imports a roster: chosen, looked at with every bad line and every difference, signed part by part. The copy
 * in use changes on the node only when the roll is in force; what was not signed is asked for again, so nothing is half.
 */

import type { Preview, RollStanding } from '../../services/generated'
import { sentenceOf, sentenceOfSettlement } from '../../services/faults'
import { ApiProblem } from '../../services/http'
import { chooseRoster, isOvertaken, isSigned, ownOrganisation, relationOf, signAll, type ChosenFile } from '../../services/offices'
import { officeApi } from '../../services/office-api'
import { PlatformError, wait } from '../../services/platform'
import { serverNow } from '../../services/records'
import { settings } from '../../services/settings'
import { estate } from '../../services/trust'
import { fill } from '../../texts'
import {
  changeRows,
  changeSummary,
  relationText,
  rollText,
  totalsOf,
  waitingRow,
  type ChangeRow,
  type Fact,
  type WaitingRow,
} from '../../texts/rolls'
import { ask, definePage } from '../../page'

/** How often it is asked again what is left when another officer was faster, and how long one waits for his blocks. */
const ROUNDS = 5
const ROUND_MS = 400

type Stage = 'standing' | 'bad' | 'preview' | 'signing' | 'published' | 'inForce'

definePage({
  title: (texts) => texts.rollImport.title,
  sections: ['rollImport'],
  keeps: true,
  data: {
    stage: 'standing' as Stage,
    inForce: '',
    ownText: '',
    isOwn: false,
    waiting: [] as WaitingRow[],
    fileText: '',
    totals: [] as readonly Fact[],
    badTitle: '',
    leaveText: '',
    badLines: [] as readonly { line: string; reason: string }[],
    notices: [] as readonly { line: string; reason: string }[],
    changes: [] as readonly ChangeRow[],
    changeText: '',
    onlyFirst: '',
    relation: '',
    isSame: false,
    progress: '',
    mayGoOn: false,
  },
  organisation: '',
  names: {} as Readonly<Record<string, string>>,
  standing: undefined as RollStanding | undefined,
  file: undefined as ChosenFile | undefined,
  preview: undefined as Preview | undefined,

  async load() {
    this.organisation = await ownOrganisation('officer')
    const { nodes } = await estate()
    this.names = Object.fromEntries(nodes.map(({ id, name }) => [id, name]))
    await this.showStanding()
  },

  nameOf(id: string): string {
    return this.names[id] ?? id
  },

  async showStanding(): Promise<void> {
    const standing = await officeApi.standing(this.organisation)
    const { language } = settings()
    const nameOf = (id: string) => this.nameOf(id)
    const { in_force, in_use } = standing
    this.standing = standing
    this.setData({
      inForce: in_force ? rollText(in_force, language, serverNow(), this.texts) : '',
      isOwn: in_force?.id === in_use,
      ownText: in_force?.id === in_use ? this.texts.rollImport.own : this.texts.rollImport.notOwn,
      waiting: standing.waiting.map((roll) => waitingRow(roll, standing, nameOf, language, serverNow(), this.texts)),
    })
  },

  async choose(): Promise<void> {
    let file: ChosenFile | null
    try {
      file = await chooseRoster()
    } catch (error) {
      if (error instanceof PlatformError) return
      throw error
    }
    if (file === null) return this.setData({ note: this.texts.rollImport.badType })
    this.file = file
    await this.run(() => this.read(0))
  },

  /** `leaveOut`: how many bad lines the officer has seen; another number in the file, and it is looked at again. */
  async read(leaveOut: number): Promise<void> {
    const { name, path } = this.file!
    const preview = await this.ask(path, leaveOut)
    if (preview === null) return
    this.preview = preview
    this.show(preview)
    if (preview.import_id === '' && leaveOut > 0) this.setData({ note: this.texts.rollImport.changedFile })
    this.setData({ fileText: fill(this.texts.rollImport.file, { name }) })
  },

  /** Null when the file is no roster: why, is said under the button. */
  async ask(path: string, leaveOut: number): Promise<Preview | null> {
    try {
      return await officeApi.previewRoll(this.organisation, path, leaveOut)
    } catch (error) {
      if (!(error instanceof ApiProblem) || error.code !== 'roster_unreadable') throw error
      const reason = /\((.*)\)$/s.exec(error.detail)?.[1] ?? sentenceOf(error, this.texts)
      this.setData({ note: fill(this.texts.rollImport.unreadable, { reason: reason.replace(/[。.]$/, '') }) })
      return null
    }
  },

  show(preview: Preview) {
    const texts = this.texts.rollImport
    const lineOf = ({ line, reason }: Preview['bad_lines'][number]) => ({ line: fill(texts.badLine, { line }), reason })
    const all = Object.values(preview.difference).reduce((sum, count) => sum + count, 0)
    const shown = preview.differences.length
    const bad = preview.bad_lines.length
    const relation = relationOf(preview, this.standing?.waiting ?? [], this.organisation)
    this.setData({
      stage: preview.import_id === '' ? 'bad' : 'preview',
      totals: totalsOf(preview, this.texts),
      badTitle: fill(texts.badTitle, { n: bad }),
      leaveText: fill(texts.leaveOut, { n: bad }),
      badLines: preview.bad_lines.map(lineOf),
      notices: preview.notices.map(lineOf),
      changes: changeRows(preview, this.texts),
      changeText: changeSummary(preview, this.standing?.in_use === '', this.texts),
      onlyFirst: all > shown ? fill(texts.onlyFirst, { n: shown, all }) : '',
      relation: relationText(relation, (id) => this.nameOf(id), this.texts),
      isSame: relation.kind === 'same',
      mayGoOn: false,
      note: '',
    })
  },

  leaveOut() {
    return this.run(() => this.read(this.preview!.bad_lines.length))
  },

  apply() {
    return this.run(() => this.sign(true, ROUNDS))
  },

  goOn() {
    return this.run(() => this.sign(false, ROUNDS))
  },

  /**
   * What is left is asked for each time: parts that were accepted before are not signed again. Two officers may sign at
   * the same time at two nodes; the slower one goes on with what is left then.
   */
  async sign(asksFirst: boolean, rounds: number): Promise<void> {
    const texts = this.texts.rollImport
    const unsigned = await officeApi.applyRoll(this.organisation, this.preview!.import_id)
    const all = unsigned.records.length
    const question = unsigned.state === 'publish' ? fill(texts.publishAsk, { n: all }) : texts.confirmAsk
    if (all > 0 && asksFirst && !(await ask(texts.apply, question, texts.sign, this.texts.common.cancel))) return
    const titleOf = (n: number) => fill(texts.recordTitle, { n })
    const stopped = await signAll(unsigned, titleOf, (n) => {
      this.setData({ stage: 'signing', progress: fill(texts.signing, { n, all }) })
    })
    if (stopped && isOvertaken(stopped) && rounds > 0) {
      await wait(ROUND_MS)
      return this.sign(false, rounds - 1)
    }
    if (stopped) {
      const note = fill(texts.stopped, { reason: sentenceOfSettlement(stopped, this.texts) })
      return this.setData({ stage: 'preview', mayGoOn: true, note })
    }
    await this.finish(unsigned.roll)
  },

  async finish(roll: string): Promise<void> {
    await this.showStanding()
    const isInForce = this.standing!.in_force?.id === roll
    const isOurs = isSigned(this.standing!, roll, this.organisation)
    this.setData({ stage: isInForce ? 'inForce' : isOurs ? 'published' : 'preview', mayGoOn: !isInForce && !isOurs })
  },

  again() {
    return this.run(async () => {
      await this.showStanding()
      this.setData({ stage: 'standing', note: '' })
    })
  },

  done() {
    wx.navigateBack({})
  },
})
