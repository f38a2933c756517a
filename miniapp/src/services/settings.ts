/** How the app looks and speaks: language, elder mode, text size. */

import { store } from './store'
import { DEFAULT_LANGUAGE, type Language } from '../texts'

export interface Settings {
  readonly language: Language
  readonly elder: boolean
  readonly fontPx: number
}

/** Elder mode starts at the smallest size the 适老化 rules allow for main text, with some air (product 2.12 M1). */
export const FONT_PX = { plain: 17, elder: 22, elderLeast: 18, most: 30 } as const
/** WeChat's own care mode is about 1.4 times the usual size. */
const LARGE_SCALE = 1.3

let current: Settings | undefined

export function settings(): Settings {
  current ??= store.read('settings') ?? initialSettings()
  return current
}

export function changeSettings(change: Partial<Settings>): Settings {
  current = { ...settings(), ...change }
  store.write('settings', current)
  showSettings()
  return current
}

/** Sizes of both modes meet in one list: what is chosen in one stays when the other is entered. */
export function setElder(elder: boolean): Settings {
  return changeSettings({ elder, fontPx: elder ? FONT_PX.elder : FONT_PX.plain })
}

export function showSettings(): void {
  const { elder, fontPx, language } = settings()
  wx.linli?.setDisplay({ elder, fontPx, language })
}

function initialSettings(): Settings {
  const info = wx.getAppBaseInfo()
  const elder = (info.fontSizeScaleFactor ?? 1) >= LARGE_SCALE
  const language: Language = /^en\b/i.test(info.language) ? 'en' : DEFAULT_LANGUAGE
  return { language, elder, fontPx: elder ? FONT_PX.elder : FONT_PX.plain }
}
