/** `wx` in the browser: exactly the interface of src/types/wechat.d.ts. */

import { isTab, navigateBack, navigateTo, redirectTo, reLaunch } from '../router'
import { shell } from '../shell'
import { asCall } from './callbacks'
import { showModal, showToast } from './dialogs'
import { getFileSystemManager, shareFileMessage } from './files'
import { chooseMedia, chooseMessageFile, previewImage } from './media'
import { downloadFile, getNetworkType, onNetworkStatusChange, request, uploadFile, watchEvents } from './network'
import { scanCode } from './scan'
import { hush, speakPage } from './speech'
import { storage } from './storage'

/** Text of a browser at its usual setting. */
const USUAL_FONT_PX = 16

function fontScale(): number {
  return parseFloat(getComputedStyle(document.documentElement).fontSize) / USUAL_FONT_PX
}

function setDisplay(display: { elder: boolean; fontPx: number; language: string }): void {
  const root = document.documentElement
  root.lang = display.language
  root.classList.toggle('elder', display.elder)
  root.style.setProperty('--shell-font', display.fontPx + 'px')
  shell.setBackLabel(display.language === 'en' ? 'Back' : '返回')
}

const move = (action: (url: string) => void): WxCall<WxUrl> =>
  asCall(({ url }) => {
    action(url)
    return {}
  })

export const wechat: Wechat = {
  env: { USER_DATA_PATH: 'written:' },
  linli: { speakPage, hush, print: () => window.print(), setDisplay, watchEvents },
  ...storage,
  getRandomValues: asCall(({ length }) => ({
    randomValues: crypto.getRandomValues(new Uint8Array(length)).buffer as ArrayBuffer,
  })),
  request,
  uploadFile,
  downloadFile,
  chooseMedia,
  chooseMessageFile,
  previewImage,
  scanCode,
  getFileSystemManager,
  shareFileMessage,
  setClipboardData: asCall(async ({ data }) => {
    await navigator.clipboard.writeText(data)
    return {}
  }),
  makePhoneCall: asCall(({ phoneNumber }) => {
    location.href = 'tel:' + phoneNumber.replace(/[^\d+]/g, '')
    return {}
  }),
  vibrateShort: asCall(() => {
    navigator.vibrate?.(20)
    return {}
  }),
  navigateTo: move((url) => (hush(), navigateTo(url))),
  redirectTo: move((url) => (hush(), redirectTo(url))),
  reLaunch: move((url) => (hush(), reLaunch(url))),
  switchTab: move((url) => {
    if (!isTab(url.replace(/^\//, ''))) throw new Error('switchTab:fail not a tab')
    hush()
    reLaunch(url)
  }),
  navigateBack: asCall(({ delta }) => {
    hush()
    navigateBack(delta ?? 1)
    return {}
  }),
  setNavigationBarTitle: asCall(({ title }) => {
    shell.setTitle(title)
    return {}
  }),
  setTabBarItem: asCall(({ index, text }) => {
    shell.setTabText(index, text)
    return {}
  }),
  showToast,
  showModal,
  getAppBaseInfo: () => ({ language: navigator.language, fontSizeScaleFactor: fontScale() }),
  getNetworkType,
  onNetworkStatusChange,
  stopPullDownRefresh: asCall(() => ({})),
}
