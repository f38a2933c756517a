/** Registers pages and components with glass-easel and makes living pages of them. Knows nothing of the address bar. */

import { MiniProgramEnv } from 'glass-easel-miniprogram-adapter'
import { COMPONENTS, PAGES, TEMPLATES, type Compiled } from 'virtual:linli'
import { asBackend, HostBackend } from './backend'

const environment = new MiniProgramEnv()
const space = environment.createCodeSpace('', true)
const backend = environment.associateBackend(new HostBackend())

interface Lifecycle {
  onLoad?(query: PageQuery): void
  onShow?(): void
  onHide?(): void
  onUnload?(): void
}

export interface LivePage {
  readonly path: string
  readonly element: HTMLElement
  show(): void
  hide(): void
  unload(): void
}

export function registerAll(): void {
  for (const [path, unit] of Object.entries({ ...COMPONENTS, ...PAGES })) {
    // Everything shares one style sheet; WeChat's scoping by component is not needed for our class names.
    space.addComponentStaticConfig(path, { ...unit.json, styleIsolation: 'shared' } as never)
    space.addCompiledTemplate(path, { groupList: TEMPLATES, content: TEMPLATES[path] } as unknown as Compiled)
  }
  for (const [path, unit] of Object.entries({ ...COMPONENTS, ...PAGES }))
    space.globalComponentEnv(globalThis, path, unit.run)
}

export const isPage = (path: string): boolean => Object.prototype.hasOwnProperty.call(PAGES, path)

export function openPage(path: string, query: PageQuery, parent: HTMLElement): LivePage {
  const root = backend.createRoot('page', space, path)
  const placeholder = document.createElement('span')
  parent.append(placeholder)
  root.attach(asBackend(parent), asBackend(placeholder))
  const element = parent.lastElementChild as HTMLElement
  const page = root.get() as unknown as Lifecycle
  Object.defineProperty(page, 'route', { value: path, configurable: true })
  page.onLoad?.(query)
  page.onShow?.()
  return {
    path,
    element,
    show() {
      element.hidden = false
      page.onShow?.()
    },
    hide() {
      element.hidden = true
      page.onHide?.()
    },
    unload() {
      page.onUnload?.()
      root.release()
      element.remove()
    },
  }
}
