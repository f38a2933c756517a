/** What stands around a page on the web: heading with back button, the page, the tab bar. WeChat draws these itself. */

import { APP, PICTURES } from 'virtual:linli'
import { make } from './dom'

interface Chrome {
  readonly path: string
  readonly isTab: boolean
}

const heading = make('h1', { tabindex: '-1' })
const back = make('button', { class: 'shell-back', type: 'button' }, make('span', { 'aria-hidden': 'true' }, '‹'))
const header = make('header', { class: 'shell-header' }, back, heading)
const main = make('main', { class: 'shell-main' })
const tabs = make('nav', { class: 'shell-tabs' })
const tabTexts = APP.tabBar.list.map((tab) => tab.text)
let chrome: Chrome = { path: '', isTab: true }

export const shell = {
  main,
  focusHeading: (): void => heading.focus({ preventScroll: true }),
  setTitle(title: string): void {
    heading.textContent = title
    document.title = title
  },
  setTabText(index: number, text: string): void {
    tabTexts[index] = text
    drawTabs()
  },
  setBackLabel: (label: string): void => back.setAttribute('aria-label', label),
}

export function mountShell(onBack: () => void): void {
  back.addEventListener('click', onBack)
  back.setAttribute('aria-label', '返回')
  document.addEventListener('keydown', scrollByKey)
  document.body.append(header, main, tabs)
}

export function showChrome(next: Chrome): void {
  chrome = next
  back.hidden = next.isTab
  tabs.hidden = !next.isTab
  document.body.classList.toggle('has-tabs', next.isTab)
  drawTabs()
}

/** The page scrolls between the bars; keys pressed while the heading has focus must move it too. */
function scrollByKey(event: KeyboardEvent): void {
  const isElsewhere = document.activeElement !== heading && document.activeElement !== document.body
  const pages = { PageDown: 0.9, PageUp: -0.9, ' ': 0.9, ArrowDown: 0.1, ArrowUp: -0.1 }[event.key]
  if (isElsewhere || pages === undefined) return
  event.preventDefault()
  main.scrollBy(0, pages * main.clientHeight)
}

function drawTabs(): void {
  tabs.setAttribute('aria-label', document.documentElement.lang === 'en' ? 'Main' : '主导航')
  tabs.replaceChildren(
    ...APP.tabBar.list.map((tab, index) => {
      const isOpen = tab.pagePath === chrome.path
      const icon = make('img', { alt: '', src: PICTURES['/' + (isOpen ? tab.selectedIconPath : tab.iconPath)]! })
      const link = make('a', { href: '#/' + tab.pagePath }, icon, make('span', {}, tabTexts[index]!))
      if (isOpen) link.setAttribute('aria-current', 'page')
      return link
    }),
  )
}
