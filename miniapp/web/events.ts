/** DOM events as WeChat events: `tap`, `input`, `blur`, `confirm`, `change`, with their value in `detail`. */

import { Event as EaselEvent, type Element as EaselElement } from 'glass-easel'

type WithEasel = Element & { __wxElement?: EaselElement }

export function forwardEvents(root: HTMLElement): void {
  root.addEventListener('click', (event) => trigger(event.target as Element, 'tap', {}, true))
  root.addEventListener('input', (event) => forwardText(event, 'input'))
  root.addEventListener('focusout', (event) => forwardText(event, 'blur'))
  root.addEventListener('change', forwardChange)
  root.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && !event.isComposing && isTextField(event.target)) forwardText(event, 'confirm')
  })
}

function forwardText(event: Event, name: string): void {
  const target = event.target
  if (isTextField(target) || target instanceof HTMLTextAreaElement) trigger(target, name, { value: target.value })
}

function forwardChange(event: Event): void {
  const target = event.target
  if (!(target instanceof HTMLInputElement)) return
  const group = target.closest('[role=radiogroup], [role=group]')
  if (target.getAttribute('role') === 'switch') trigger(target, 'change', { value: target.checked })
  else if (target.type === 'radio' && group) trigger(group, 'change', { value: target.value })
  else if (target.type === 'checkbox' && group) trigger(group, 'change', { value: checkedValues(group) })
}

function checkedValues(group: Element): string[] {
  return [...group.querySelectorAll<HTMLInputElement>('input[type=checkbox]:checked')].map((box) => box.value)
}

function isTextField(target: EventTarget | null): target is HTMLInputElement {
  return target instanceof HTMLInputElement && (target.type === 'text' || target.type === 'password')
}

function trigger(target: Element, name: string, detail: object, bubbles = false): void {
  const owner = closestEasel(target)
  if (!owner || target.closest('[disabled]')) return
  EaselEvent.dispatchEvent(owner, new EaselEvent(name, detail, { bubbles, composed: bubbles }))
}

function closestEasel(target: Element): EaselElement | undefined {
  let element: WithEasel | null = target
  while (element && !element.__wxElement) element = element.parentElement
  return element?.__wxElement
}
