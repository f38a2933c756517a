/** Choosing and looking at pictures. */

import { make } from '../dom'
import { asCall } from './callbacks'
import { addressOf, resolvePicture } from './files'

export const pickPictures = (count: number): Promise<File[]> => pickFiles(count, 'image/*')

/** Rejects when the person cancels. `accept` as an <input> has it. */
function pickFiles(count: number, accept: string): Promise<File[]> {
  return new Promise((resolve, reject) => {
    const input = make('input', { type: 'file', accept })
    input.multiple = count > 1
    // Must be in the document, or Safari forgets the element before the picture is chosen.
    input.hidden = true
    document.body.append(input)
    input.addEventListener('change', () => {
      input.remove()
      resolve([...(input.files ?? [])].slice(0, count))
    })
    input.addEventListener('cancel', () => {
      input.remove()
      reject(new Error('choose:fail cancel'))
    })
    input.click()
  })
}

export const chooseMedia = asCall(async ({ count }: WxMedia) => {
  const files = await pickPictures(count)
  return { tempFiles: files.map((file) => ({ tempFilePath: addressOf(file), size: file.size })) }
})

export const chooseMessageFile = asCall(async ({ count, extension }: { count: number; extension: readonly string[] }) => {
  const files = await pickFiles(count, extension.map((one) => '.' + one).join(','))
  return { tempFiles: files.map((file) => ({ path: addressOf(file), name: file.name, size: file.size })) }
})

export const previewImage = asCall(async ({ urls, current }: { urls: readonly string[]; current?: string }) => {
  const isEnglish = document.documentElement.lang === 'en'
  const picture = make('img', { alt: isEnglish ? 'Photo' : '照片', src: await resolvePicture(current ?? urls[0]!) })
  const close = make('button', { type: 'button' }, isEnglish ? 'Close' : '关闭')
  const dialog = make('dialog', { class: 'shell-preview', 'aria-label': isEnglish ? 'Photo' : '照片' }, picture, close)
  close.addEventListener('click', () => dialog.close())
  dialog.addEventListener('close', () => dialog.remove())
  document.body.append(dialog)
  dialog.showModal()
  return {}
})
