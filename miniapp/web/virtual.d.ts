/** Made by build/web.mjs from app.json, the WXML files and their JSON. */
declare module 'virtual:linli' {
  import type { template } from 'glass-easel'

  interface Unit {
    readonly json: { readonly component?: boolean; readonly usingComponents?: Record<string, string> }
    readonly run: () => unknown
  }
  interface Tab {
    readonly pagePath: string
    readonly text: string
    readonly iconPath: string
    readonly selectedIconPath: string
  }
  export const APP: { readonly pages: readonly string[]; readonly tabBar: { readonly list: readonly Tab[] } }
  export const PAGES: Readonly<Record<string, Unit>>
  export const COMPONENTS: Readonly<Record<string, Unit>>
  export const TEMPLATES: Readonly<Record<string, unknown>>
  /** Data addresses of the pictures under assets/, by path from the root of the mini-program. */
  export const PICTURES: Readonly<Record<string, string>>
  export const startApp: () => unknown
  export type Compiled = template.ComponentTemplate
}
