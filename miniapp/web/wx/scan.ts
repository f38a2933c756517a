/**
 * wx.scanCode: a full-screen page with the camera, and two other ways that always work: a picture, or typing the code.
 * Cancelling fails the call, as in WeChat.
 */

import { zh } from '../../src/texts/zh'
import { en } from '../../src/texts/en'
import { make } from '../dom'
import { asCall } from './callbacks'
import { pickPictures } from './media'

const FRAME_MS = 120

export const scanCode = asCall(
  (_: object) =>
    new Promise<{ result: string }>((resolve, reject) => {
      new ScanPage((result) =>
        result === null ? reject(new Error('scanCode:fail cancel')) : resolve({ result }),
      ).open()
    }),
)

class ScanPage {
  private readonly isEnglish = document.documentElement.lang === 'en'
  private readonly texts = (this.isEnglish ? en : zh).scan
  private readonly common = (this.isEnglish ? en : zh).common
  private readonly video = make('video', { playsinline: '', muted: '', 'aria-hidden': 'true' })
  private readonly status = make('p', { role: 'status' }, this.texts.starting)
  private readonly typed = make('input', { type: 'text', autocomplete: 'off', autocapitalize: 'characters' })
  private readonly dialog = make('dialog', { class: 'shell-scan', 'aria-labelledby': 'scan-title' })
  private stream: MediaStream | null = null
  private isOpen = true

  constructor(private readonly answer: (result: string | null) => void) {}

  open(): void {
    const cancel = this.button(this.common.cancel, () => this.close(null))
    const upload = this.button(this.texts.upload, () => void this.upload())
    const confirm = this.button(
      this.common.confirm,
      () => this.typed.value.trim() !== '' && this.close(this.typed.value),
    )
    const label = make('label', {}, make('span', {}, this.texts.type), this.typed)
    const frame = make('div', { class: 'shell-scan-frame' }, this.video)
    const title = make('h2', { id: 'scan-title' }, this.texts.title)
    this.dialog.append(
      title,
      frame,
      this.status,
      make('div', { class: 'shell-scan-type' }, label, confirm),
      make('div', { class: 'shell-scan-buttons' }, upload, cancel),
    )
    this.dialog.addEventListener('cancel', () => this.close(null))
    document.body.append(this.dialog)
    this.dialog.showModal()
    void this.watchCamera()
  }

  private button(text: string, action: () => void): HTMLButtonElement {
    const button = make('button', { type: 'button' }, text)
    button.addEventListener('click', action)
    return button
  }

  private async watchCamera(): Promise<void> {
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: 'environment', width: { ideal: 1280 } },
      })
    } catch {
      this.status.textContent = this.texts.noCamera
      return
    }
    if (!this.isOpen) return this.stopCamera()
    this.video.muted = true
    this.video.srcObject = this.stream
    await this.video.play()
    this.status.textContent = this.texts.hint
    const { decodeFrame } = await import('./decode')
    while (this.isOpen) {
      const result = decodeFrame(this.video, this.video.videoWidth, this.video.videoHeight)
      if (result !== null) return this.close(result)
      await new Promise((resolve) => setTimeout(resolve, FRAME_MS))
    }
  }

  private async upload(): Promise<void> {
    const [picture] = await pickPictures(1).catch(() => [])
    if (!picture) return
    const { decodeBlob } = await import('./decode')
    const result = await decodeBlob(picture).catch(() => null)
    if (result === null) this.status.textContent = this.texts.none
    else this.close(result)
  }

  private close(result: string | null): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.stopCamera()
    this.dialog.close()
    this.dialog.remove()
    this.answer(result)
  }

  private stopCamera(): void {
    this.stream?.getTracks().forEach((track) => track.stop())
  }
}
