/** wx.showModal and wx.showToast as accessible elements: a real <dialog>, and a live region that is read out. */

import { make } from '../dom'
import { asCall } from './callbacks'

const TOAST_MS = 3_500
const toast = make('div', { class: 'shell-toast', role: 'status', 'aria-live': 'polite' })

export function mountToast(): void {
  document.body.append(toast)
}

let toastTimer = 0

export const showToast = asCall(({ title, duration }: { title: string; duration?: number }) => {
  toast.textContent = title
  toast.classList.add('is-shown')
  clearTimeout(toastTimer)
  toastTimer = window.setTimeout(
    () => {
      toast.classList.remove('is-shown')
      toast.textContent = ''
    },
    Math.max(duration ?? 0, TOAST_MS),
  )
  return {}
})

export const showModal = asCall(
  (options: WxModal) =>
    new Promise<{ confirm: boolean }>((resolve) => {
      const isEnglish = document.documentElement.lang === 'en'
      const confirm = make(
        'button',
        { class: 'shell-dialog-confirm', type: 'button' },
        options.confirmText ?? (isEnglish ? 'OK' : '确定'),
      )
      const cancel = make('button', { type: 'button' }, options.cancelText ?? (isEnglish ? 'Cancel' : '取消'))
      const buttons = options.showCancel === false ? [confirm] : [cancel, confirm]
      const dialog = make(
        'dialog',
        { class: 'shell-dialog', 'aria-labelledby': 'dialog-title' },
        make('h2', { id: 'dialog-title' }, options.title),
        make('p', {}, options.content),
        make('div', {}, ...buttons),
      )
      const close = (answer: boolean) => {
        dialog.close()
        dialog.remove()
        resolve({ confirm: answer })
      }
      confirm.addEventListener('click', () => close(true))
      cancel.addEventListener('click', () => close(false))
      dialog.addEventListener('cancel', () => close(false))
      document.body.append(dialog)
      dialog.showModal()
    }),
)
