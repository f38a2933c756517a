/**
 * What every page has in common: its words, the display mode, loading, and failing with a way on. A page says what it
 * needs in `load`; the states loading, ready, offline, error and alarm are kept here.
 */

import { faultOf, sentenceOf, type PageFault } from './services/faults'
import { call } from './services/platform'
import { settings } from './services/settings'
import { estate, knownEstate, TrustAlarm } from './services/trust'
import { textsOf, type Section, type Texts } from './texts'

export interface CommonData {
  readonly s: Partial<Texts>
  /** Class names of the root view. */
  readonly mode: string
  readonly rootStyle: string
  readonly view: 'loading' | 'ready' | PageFault
  readonly fault: string
  readonly busy: boolean
  /** Sentence under the main button: what was wrong with the last tap. */
  readonly note: string
  /** Of a person who helps; known once the estate is. */
  readonly helpPhone: string
}

interface CommonMethods {
  readonly query: PageQuery
  readonly texts: Texts
  /** Takes up changed settings: words, mode, text size. */
  redress(): void
  /** Shows the page again from its data source. */
  reload(): Promise<void>
  /** Puts the title anew: what is done is not called by what was to be done. */
  retitle(): void
  /** One action at a time; failures become a sentence, never a dead button. */
  run(action: () => Promise<void>): Promise<void>
}

export type PageThis<Data, Methods> = PageInstance<Data & CommonData> & CommonMethods & Methods

interface Definition<Data extends object> {
  /** May say more once the page's data is there. */
  readonly title: (texts: Texts, data: Data) => string
  readonly sections: readonly Section[]
  readonly data: Data
  /** Fetches and sets data. Its failure shows the page's error state, with a button to try again. */
  load?(): Promise<void> | void
  /** Called whenever the page comes to the front, after load. */
  shown?(): void
  /** Called when it leaves the front or is closed: stop timers here. */
  left?(): void
  /** Whether coming back should load again; default true. */
  readonly keeps?: boolean
}

type Loaded<Data> = PageThis<Data, { load?(): Promise<void> | void; shown?(): void; left?(): void }> & {
  query: PageQuery
  texts: Texts
  shownBefore: boolean
}

export function definePage<Data extends object, Methods extends object>(
  definition: Definition<Data> & Methods & ThisType<PageThis<Data, Methods>>,
): void {
  const { title, sections, data, keeps, ...methods } = definition
  Page({
    ...methods,
    data: {
      ...data,
      ...dressOf(sections),
      view: definition.load ? 'loading' : 'ready',
      fault: '',
      busy: false,
      note: '',
      helpPhone: humanPhone(),
    },

    onLoad(this: Loaded<Data>, query: PageQuery) {
      this.query = decodeQuery(query)
      this.shownBefore = false
    },

    onShow(this: Loaded<Data>) {
      dress(this, sections)
      this.retitle()
      if (this.data.helpPhone === '') void learnPhone(this)
      const isReturn = this.shownBefore
      this.shownBefore = true
      if (isReturn && keeps) return this.shown?.()
      void this.reload().then(() => this.shown?.())
    },

    onHide(this: Loaded<Data>) {
      this.left?.()
    },

    onUnload(this: Loaded<Data>) {
      this.left?.()
    },

    async reload(this: Loaded<Data>) {
      if (!this.load) return
      try {
        await this.load()
        show(this, { view: 'ready', fault: '', helpPhone: humanPhone() })
      } catch (error) {
        show(this, { view: faultOf(error), fault: sentenceOf(error, this.texts) })
      }
    },

    async run(this: Loaded<Data>, action: () => Promise<void>) {
      if (this.data.busy) return
      show(this, { busy: true, note: '' })
      try {
        await action()
      } catch (error) {
        show(this, { note: sentenceOf(error, this.texts) })
      } finally {
        show(this, { busy: false })
      }
    },

    retitle(this: Loaded<Data>) {
      wx.setNavigationBarTitle({ title: title(this.texts, this.data) })
    },

    /** Bound by <page-tools> after language or mode changed. */
    redress(this: Loaded<Data>) {
      dress(this, sections)
      this.retitle()
      void this.reload()
    },
  })
}

function show<Data>(page: PageInstance<Data & CommonData>, change: Partial<CommonData>): void {
  page.setData(change as Record<string, unknown>)
}

/** A page that asks the nodes nothing by itself has the person's number all the same, also when it is opened first. */
async function learnPhone<Data>(page: Loaded<Data>): Promise<void> {
  try {
    show(page, { helpPhone: (await estate()).phone })
  } catch (error) {
    // Without network the page stands as it is; nodes that disagree stop it.
    if (error instanceof TrustAlarm) show(page, { view: 'alarm', fault: sentenceOf(error, page.texts) })
  }
}

function dress<Data>(page: Loaded<Data>, sections: readonly Section[]): void {
  const texts = textsOf(settings().language)
  page.texts = texts
  show(page, { ...dressOf(sections), helpPhone: humanPhone() })
  const tabs = [texts.tabs.home, texts.tabs.receipts, texts.tabs.me]
  tabs.forEach((text, index) => wx.setTabBarItem({ index, text, fail: () => undefined }))
}

/** Only the words a page uses: what is set on a page is copied between WeChat's two threads. */
function dressOf(sections: readonly Section[]): Pick<CommonData, 's' | 'mode' | 'rootStyle'> {
  const { language, elder, fontPx } = settings()
  const texts = textsOf(language)
  const own = Object.fromEntries((['common', ...sections] as const).map((section) => [section, texts[section]]))
  return { s: own as Partial<Texts>, mode: elder ? 'elder' : '', rootStyle: `--fs: ${fontPx}px` }
}

/** WeChat hands query values over as they stand in the address. */
function decodeQuery(query: PageQuery): PageQuery {
  return Object.fromEntries(Object.entries(query).map(([name, value]) => [name, decodeURIComponent(value ?? '')]))
}

export const go = (path: string, query: Readonly<Record<string, string>> = {}): void =>
  wx.navigateTo({ url: urlOf(path, query) })
export const replaceWith = (path: string, query: Readonly<Record<string, string>> = {}): void =>
  wx.redirectTo({ url: urlOf(path, query) })

export function urlOf(path: string, query: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
  return `/${path}${pairs.length > 0 ? '?' + pairs.join('&') : ''}`
}

export async function ask(title: string, content: string, confirmText: string, cancelText: string): Promise<boolean> {
  return (await call(wx.showModal, { title, content, confirmText, cancelText })).confirm
}

export const humanPhone = (): string => knownEstate()?.phone ?? ''
