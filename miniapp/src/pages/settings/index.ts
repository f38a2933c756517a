/** Elder mode, text size from 18 to 30, and the language. Takes effect at once, so one sees what one chooses. */

import { changeSettings, FONT_PX, setElder, settings } from '../../services/settings'
import { fill, type Language } from '../../texts'
import { definePage } from '../../page'

const SIZES = [FONT_PX.plain, 18, 20, 22, 24, 26, 28, FONT_PX.most]

definePage({
  title: (texts) => texts.settings.title,
  sections: ['settings'],
  data: { elder: false, size: '', sizes: [] as { id: string; text: string }[], language: '' as Language | '' },

  load() {
    const { elder, fontPx, language } = settings()
    const offered = SIZES.filter((px) => !elder || px >= FONT_PX.elderLeast)
    const sizes = offered.map((px) => ({ id: String(px), text: fill(this.texts.settings.sizeOf, { n: px }) }))
    this.setData({ elder, size: String(fontPx), sizes, language })
  },

  chooseElder(event: ValueEvent<boolean>) {
    setElder(event.detail.value)
    this.redress()
  },

  chooseSize(event: ValueEvent) {
    changeSettings({ fontPx: Number(event.detail.value) })
    this.redress()
  },

  chooseLanguage(event: ValueEvent) {
    changeSettings({ language: event.detail.value as Language })
    this.redress()
  },
})
