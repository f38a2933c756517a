/**
 * Pages by address: `#/pages/vote/read?motion=m-1`. Pages below the top stay alive and hidden, so back shows them as they
 * were left. The browser's own back and forward buttons do the same as the app's.
 */

import { APP } from 'virtual:linli'
import { isPage, openPage, type LivePage } from './pages'
import { shell, showChrome } from './shell'

const HOME = APP.pages[0]!
const stack: { url: string; page: LivePage; scroll: number }[] = []

const tabPaths = APP.tabBar.list.map((tab) => tab.pagePath)
export const isTab = (path: string): boolean => tabPaths.includes(path)

export function start(): void {
  addEventListener('popstate', follow)
  const url = addressUrl()
  history.replaceState({ depth: 0 }, '', '#' + url)
  push(url)
}

export function navigateTo(url: string): void {
  stack[stack.length - 1]!.scroll = shell.main.scrollTop
  history.pushState({ depth: stack.length }, '', '#' + url)
  push(url)
}

export function redirectTo(url: string): void {
  history.replaceState({ depth: stack.length - 1 }, '', '#' + url)
  stack.pop()?.page.unload()
  push(url)
}

/** A fresh stack; the old pages' addresses stay in the browser's history and open anew when visited. */
export function reLaunch(url: string): void {
  history.pushState({ depth: 0 }, '', '#' + url)
  while (stack.length > 0) stack.pop()!.page.unload()
  push(url)
}

export function navigateBack(delta: number): void {
  const steps = Math.min(delta, stack.length - 1)
  if (steps > 0) history.go(-steps)
  else if (stack[0]!.page.path !== HOME) reLaunch('/' + HOME)
}

export const depth = (): number => stack.length

/** The browser moved: by its buttons, by a link, or by a typed address. */
function follow(event: PopStateEvent): void {
  const url = addressUrl()
  const target = (event.state as { depth?: number } | null)?.depth
  if (target === undefined) {
    stack[stack.length - 1]!.scroll = shell.main.scrollTop
    history.replaceState({ depth: stack.length }, '', '#' + url)
    if (isTab(pathOf(url))) return reset(url)
    return push(url)
  }
  if (target < stack.length && stack[target]!.url === url) return popTo(target)
  if (target === stack.length) return push(url)
  reset(url)
}

function reset(url: string): void {
  history.replaceState({ depth: 0 }, '', '#' + url)
  while (stack.length > 0) stack.pop()!.page.unload()
  push(url)
}

function popTo(target: number): void {
  if (target === stack.length - 1) return
  while (stack.length - 1 > target) stack.pop()!.page.unload()
  const top = stack[target]!
  prepareChrome(top.page.path)
  top.page.show()
  shell.focusHeading()
  shell.main.scrollTop = top.scroll
}

function push(url: string): void {
  const path = pathOf(url)
  stack[stack.length - 1]?.page.hide()
  prepareChrome(path)
  stack.push({ url, page: openPage(path, queryOf(url), shell.main), scroll: 0 })
  shell.main.scrollTop = 0
  // The first page is where the reader already is; moving focus there would only skip the browser's own start.
  if (stack.length > 1 || history.length > 1) shell.focusHeading()
}

function prepareChrome(path: string): void {
  showChrome({ path, isTab: isTab(path) })
}

function addressUrl(): string {
  const url = location.hash.replace(/^#/, '')
  return isPage(pathOf(url)) ? url : '/' + HOME
}

function pathOf(url: string): string {
  return url.replace(/^\//, '').split('?')[0]!
}

/** Values as they stand in the address, as WeChat hands them over; the page decodes them. */
function queryOf(url: string): PageQuery {
  const pairs = (url.split('?')[1] ?? '').split('&').filter((pair) => pair !== '')
  return Object.fromEntries(pairs.map((pair) => [pair.split('=')[0]!, pair.slice(pair.indexOf('=') + 1)]))
}
