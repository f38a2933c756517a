/**
 * WeChat's built-in components as real HTML elements, so that roles, names and keyboard come from the browser.
 * The build renames `<view>` to `<w-view>` and so on; glass-easel asks for an element by that name and sets attributes on
 * it. Where an attribute means something else in HTML, the element translates it. No more components than pages use.
 */

import { PICTURES } from 'virtual:linli'
import { resolvePicture } from './wx/files'

type Attribute = (element: HTMLElement, value: string | null) => void

interface Builtin {
  readonly tag: string
  prepare?(element: HTMLElement): void
  readonly attributes?: Readonly<Record<string, Attribute>>
}

const ignore: Attribute = () => undefined
const field = (element: HTMLElement): HTMLInputElement => element as HTMLInputElement

const value: Attribute = (element, text) => {
  // Setting the same text again would move the caret.
  if (field(element).value !== (text ?? '')) field(element).value = text ?? ''
}
const checked: Attribute = (element, text) => {
  field(element).checked = text !== null && text !== 'false'
}
const maxlength: Attribute = (element, text) => {
  if (text !== null && Number(text) >= 0) field(element).maxLength = Number(text)
}
const inputType: Attribute = (element, type) => {
  field(element).type = type === 'password' ? 'password' : 'text'
  if (type === 'number') element.inputMode = 'numeric'
  if (type === 'digit') element.inputMode = 'decimal'
}
const textField = {
  value,
  maxlength,
  type: inputType,
  'confirm-type': ignore,
  'placeholder-class': ignore,
  'auto-height': ignore,
}

const button: Record<string, Attribute> = {
  type: ignore,
  'hover-class': ignore,
  'open-type': ignore,
  loading: (element, text) => {
    const isLoading = text !== null && text !== 'false'
    element.classList.toggle('is-loading', isLoading)
    element.setAttribute('aria-busy', String(isLoading))
  },
}

const image: Record<string, Attribute> = {
  src: (element, path) => void showPicture(element as HTMLImageElement, path ?? ''),
  mode: (element, mode) => {
    element.style.objectFit = mode === 'aspectFill' ? 'cover' : mode === 'aspectFit' ? 'contain' : ''
  },
  'aria-label': (element, text) => {
    ;(element as HTMLImageElement).alt = text ?? ''
  },
  'lazy-load': ignore,
}

const navigator: Record<string, Attribute> = {
  url: (element, url) => element.setAttribute('href', '#' + (url ?? '')),
  'open-type': ignore,
  'hover-class': ignore,
}

const BUILTINS: Readonly<Record<string, Builtin>> = {
  'w-view': { tag: 'div', attributes: { 'hover-class': ignore } },
  'w-text': { tag: 'span', attributes: { 'user-select': ignore, space: ignore } },
  'w-image': { tag: 'img', prepare: (element) => void ((element as HTMLImageElement).alt = ''), attributes: image },
  'w-button': { tag: 'button', prepare: (element) => element.setAttribute('type', 'button'), attributes: button },
  'w-label': { tag: 'label' },
  'w-input': { tag: 'input', prepare: (element) => void (field(element).autocomplete = 'off'), attributes: textField },
  'w-textarea': { tag: 'textarea', attributes: textField },
  'w-radio-group': { tag: 'div', prepare: (element) => element.setAttribute('role', 'radiogroup') },
  'w-radio': { tag: 'input', prepare: prepareRadio, attributes: { checked, color: ignore } },
  'w-checkbox-group': { tag: 'div', prepare: (element) => element.setAttribute('role', 'group') },
  'w-checkbox': {
    tag: 'input',
    prepare: (element) => void (field(element).type = 'checkbox'),
    attributes: { checked, color: ignore },
  },
  'w-switch': { tag: 'input', prepare: prepareSwitch, attributes: { checked, color: ignore } },
  'w-navigator': { tag: 'a', attributes: navigator },
}

/** Called by glass-easel for every element of a template; other names are the host elements of our own components. */
export function createElement(name: string): HTMLElement {
  const builtin = BUILTINS[name]
  if (!builtin) return document.createElement(name === 'page' ? 'section' : name)
  const element = document.createElement(builtin.tag)
  builtin.prepare?.(element)
  if (builtin.attributes) translateAttributes(element, builtin.attributes)
  return element
}

function translateAttributes(element: HTMLElement, attributes: Readonly<Record<string, Attribute>>): void {
  const set = element.setAttribute.bind(element)
  const remove = element.removeAttribute.bind(element)
  element.setAttribute = (name, text) => (own(attributes, name) ? attributes[name]!(element, text) : set(name, text))
  element.removeAttribute = (name) => (own(attributes, name) ? attributes[name]!(element, null) : remove(name))
}

const own = (object: object, name: string): boolean => Object.prototype.hasOwnProperty.call(object, name)

let groups = 0

/** Radios of one group share a name, so that arrow keys move between them; the group is known once it is attached. */
function prepareRadio(element: HTMLElement): void {
  field(element).type = 'radio'
  queueMicrotask(() => {
    const group = element.closest<HTMLElement>('[role=radiogroup]')
    if (group) field(element).name = group.dataset['name'] ??= `group-${++groups}`
  })
}

function prepareSwitch(element: HTMLElement): void {
  field(element).type = 'checkbox'
  element.setAttribute('role', 'switch')
}

/** Asset paths begin at the root of the mini-program; those pictures came with the code. */
async function showPicture(element: HTMLImageElement, path: string): Promise<void> {
  if (path === '') return Element.prototype.removeAttribute.call(element, 'src')
  const source = PICTURES[path] ?? (await resolvePicture(path))
  Element.prototype.setAttribute.call(element, 'src', source)
}
