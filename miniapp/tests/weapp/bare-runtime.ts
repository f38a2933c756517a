/**
 * The WeChat build in a bare V8 context: the language's own globals, `wx`, App, Page and Component, and nothing of a
 * browser or of Node; no eval. Pages can be opened and their methods called, with setData as WeChat has it.
 */

import { readFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { createContext, runInContext } from 'node:vm'

export interface PageOptions {
  readonly data: Record<string, unknown>
  readonly [method: string]: unknown
}

export interface OpenPage {
  data: Record<string, unknown>
  setData(patch: Record<string, unknown>): void
  readonly [method: string]: unknown
}

export class BareRuntime {
  readonly pages = new Map<string, PageOptions>()
  readonly components = new Map<string, Record<string, unknown>>()
  readonly storage = new Map<string, unknown>()
  readonly titles: string[] = []
  readonly urls: string[] = []
  app: Record<string, (() => void) | undefined> = {}
  private readonly modules = new Map<string, { exports: unknown }>()
  private readonly context: object
  private current = ''

  constructor(
    private readonly folder: string,
    request: (options: WxRequest & WxCallbacks<WxResponse>) => void,
    /** What else this WeChat offers. */
    more: object = {},
  ) {
    this.context = createContext(
      {
        wx: { ...this.wx(request), ...more },
        setTimeout,
        clearTimeout,
        setInterval,
        clearInterval,
        console: { log() {}, warn() {}, error() {} },
        App: (options: Record<string, () => void>) => (this.app = options),
        Page: (options: PageOptions) => this.pages.set(this.current, options),
        Component: (options: Record<string, unknown>) => this.components.set(this.current, options),
      },
      { codeGeneration: { strings: false, wasm: false } },
    )
  }

  load(path: string): unknown {
    return this.require(resolve(this.folder, path + '.js'))
  }

  /** Opens a page as WeChat does: onLoad with the query, then onShow. */
  open(path: string, query: Record<string, string> = {}): OpenPage {
    const options = this.pages.get(path)
    if (!options) throw new Error(`${path} did not call Page()`)
    const page = { ...options, data: structuredClone(options.data) } as unknown as OpenPage
    page.setData = (patch) => void (page.data = { ...page.data, ...structuredClone(patch) })
    ;(page['onLoad'] as (query: object) => void).call(page, query)
    ;(page['onShow'] as () => void).call(page)
    return page
  }

  private require(file: string): unknown {
    const known = this.modules.get(file)
    if (known) return known.exports
    const module = { exports: {} }
    this.modules.set(file, module)
    const outer = this.current
    this.current = relative(this.folder, file).replace(/\.js$/, '')
    const wrapped = `(function (require, module, exports) {${readFileSync(file, 'utf8')}\n})`
    const run = runInContext(wrapped, this.context, { filename: file }) as (...values: unknown[]) => void
    run((path: string) => this.require(resolve(dirname(file), path)), module, module.exports)
    this.current = outer
    return module.exports
  }

  private wx(request: unknown): object {
    const done = (options: WxCallbacks<object> | undefined) => options?.success?.({})
    return {
      env: { USER_DATA_PATH: '/user' },
      getStorageSync: (key: string) => this.storage.get(key) ?? '',
      setStorageSync: (key: string, value: unknown) => void this.storage.set(key, structuredClone(value)),
      removeStorageSync: (key: string) => void this.storage.delete(key),
      getAppBaseInfo: () => ({ language: 'zh_CN', fontSizeScaleFactor: 1 }),
      setNavigationBarTitle: ({ title }: { title: string }) => void this.titles.push(title),
      setTabBarItem: done,
      onNetworkStatusChange: () => undefined,
      navigateTo: ({ url }: { url: string }) => void this.urls.push(url),
      redirectTo: ({ url }: { url: string }) => void this.urls.push(url),
      getRandomValues: ({ length, success }: { length: number; success: (result: object) => void }) =>
        success({ randomValues: crypto.getRandomValues(new Uint8Array(length)).buffer }),
      request,
    }
  }
}
