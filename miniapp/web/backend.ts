/** glass-easel's browser backend with our elements and our events instead of its own. */

import { CurrentWindowBackendContext, type GeneralBackendElement } from 'glass-easel'
import { createElement } from './elements'

type Document = CurrentWindowBackendContext['document']

export class HostBackend extends CurrentWindowBackendContext {
  override document = {
    createElement: (name: string) => createElement(name),
    createTextNode: (text: string) => document.createTextNode(text),
    createDocumentFragment: () => document.createDocumentFragment(),
  } as unknown as Document

  /** events.ts forwards what pages listen to; a second DOM listener here would call them twice. */
  override setListenerStats(): void {}
}

export const asBackend = (node: Node): GeneralBackendElement => node as unknown as GeneralBackendElement
