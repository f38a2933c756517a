/**
 * The part of the WeChat mini-program runtime that Linli uses, and no more. The browser host (web/wx) implements the
 * same interface, so the type checker tells when the two drift apart.
 * Source: developers.weixin.qq.com/miniprogram/dev/api.
 */

interface WxFailure {
  readonly errMsg: string
}

interface WxCallbacks<Result> {
  success?(result: Result): void
  fail?(failure: WxFailure): void
  complete?(): void
}

type WxCall<Options, Result = object> = (options: Options & WxCallbacks<Result>) => void

interface WxRequest {
  readonly url: string
  readonly method?: 'GET' | 'POST' | 'DELETE'
  readonly data?: unknown
  readonly header?: Record<string, string>
  readonly timeout?: number
  /** Always 'text' here: we parse by ourselves, strictly where it matters. */
  readonly dataType?: 'text'
  /** Tiles are bytes. */
  readonly responseType?: 'text' | 'arraybuffer'
}

interface WxResponse {
  readonly statusCode: number
  /** An ArrayBuffer when that was asked for. */
  readonly data: string | ArrayBuffer
  readonly header: Record<string, string>
}

interface WxUpload {
  readonly url: string
  readonly filePath: string
  readonly name: string
  readonly header?: Record<string, string>
  readonly timeout?: number
}

interface WxUrl {
  readonly url: string
}

interface WxModal {
  readonly title: string
  readonly content: string
  readonly confirmText?: string
  readonly cancelText?: string
  readonly showCancel?: boolean
}

interface WxFiles {
  saveFile: WxCall<{ readonly tempFilePath: string }, { readonly savedFilePath: string }>
  removeSavedFile: WxCall<{ readonly filePath: string }>
  writeFile: WxCall<{ readonly filePath: string; readonly data: string; readonly encoding: 'utf8' }>
}

interface WxMedia {
  readonly count: number
  readonly mediaType: readonly ['image']
  readonly sizeType: readonly ['compressed']
  readonly sourceType?: readonly ('album' | 'camera')[]
}

/** What the browser host adds; absent in WeChat. */
interface WxHost {
  /** Reads the open page aloud; false when this browser has no voice. */
  speakPage(language: string): boolean
  hush(): void
  /** The page in front, on paper. */
  print(): void
  setDisplay(display: { readonly elder: boolean; readonly fontPx: number; readonly language: string }): void
  watchEvents(url: string, topics: readonly string[], onEvent: () => void): () => void
}

interface Wechat {
  readonly env: { readonly USER_DATA_PATH: string }
  readonly linli?: WxHost
  getStorageSync(key: string): unknown
  setStorageSync(key: string, value: unknown): void
  removeStorageSync(key: string): void
  getRandomValues: WxCall<{ readonly length: number }, { readonly randomValues: ArrayBuffer }>
  request: WxCall<WxRequest, WxResponse>
  uploadFile: WxCall<WxUpload, { readonly statusCode: number; readonly data: string }>
  downloadFile: WxCall<
    { readonly url: string; readonly header?: Record<string, string> },
    { readonly statusCode: number; readonly tempFilePath: string }
  >
  chooseMedia: WxCall<
    WxMedia,
    { readonly tempFiles: readonly { readonly tempFilePath: string; readonly size: number }[] }
  >
  /** In WeChat a file of a chat, in a browser one of the computer. */
  chooseMessageFile: WxCall<
    { readonly count: number; readonly type: 'file'; readonly extension: readonly string[] },
    { readonly tempFiles: readonly { readonly path: string; readonly name: string; readonly size: number }[] }
  >
  previewImage: WxCall<{ readonly urls: readonly string[]; readonly current?: string }>
  scanCode: WxCall<
    { readonly scanType?: readonly 'qrCode'[]; readonly onlyFromCamera?: boolean },
    { readonly result: string }
  >
  getFileSystemManager(): WxFiles
  shareFileMessage: WxCall<{ readonly filePath: string; readonly fileName: string }>
  setClipboardData: WxCall<{ readonly data: string }>
  makePhoneCall: WxCall<{ readonly phoneNumber: string }>
  vibrateShort: WxCall<{ readonly type: 'light' | 'medium' | 'heavy' }>
  /** Absent where there is no WeChat: its ways of proof are not offered there. */
  login?: WxCall<object, { readonly code: string }>
  navigateTo: WxCall<WxUrl>
  redirectTo: WxCall<WxUrl>
  reLaunch: WxCall<WxUrl>
  switchTab: WxCall<WxUrl>
  navigateBack: WxCall<{ readonly delta?: number }>
  setNavigationBarTitle: WxCall<{ readonly title: string }>
  setTabBarItem: WxCall<{ readonly index: number; readonly text: string }>
  showToast: WxCall<{ readonly title: string; readonly icon?: 'success' | 'none'; readonly duration?: number }>
  showModal: WxCall<WxModal, { readonly confirm: boolean }>
  getAppBaseInfo(): { readonly language: string; readonly fontSizeScaleFactor?: number }
  getNetworkType: WxCall<object, { readonly networkType: string }>
  onNetworkStatusChange(listener: (status: { readonly isConnected: boolean }) => void): void
  stopPullDownRefresh: WxCall<object>
}

declare const wx: Wechat

interface TapEvent {
  readonly currentTarget: { readonly dataset: Record<string, string | number | undefined> }
}

interface ValueEvent<Value = string> extends TapEvent {
  readonly detail: { readonly value: Value }
}

/** What a button with `open-type="getPhoneNumber"` gives: a code that a node exchanges once, none when it was refused. */
interface PhoneNumberEvent {
  readonly detail: { readonly code?: string; readonly errMsg?: string }
}

type PageQuery = Readonly<Record<string, string | undefined>>

interface PageInstance<Data> {
  readonly data: Data
  readonly route: string
  setData(patch: Partial<Data> | Record<string, unknown>, done?: () => void): void
}

interface ComponentInstance<Data> {
  readonly data: Data
  setData(patch: Partial<Data>): void
  triggerEvent(name: string, detail: unknown, options: object): void
}

declare function App(options: { onLaunch?(): void; onShow?(): void }): void
declare function Page(options: object): void
declare function Component<Data extends object, Methods extends object>(
  options: {
    readonly properties?: Record<string, unknown>
    readonly data?: Data
    readonly options?: { readonly styleIsolation?: string; readonly multipleSlots?: boolean }
    readonly lifetimes?: { attached?(): void; detached?(): void }
    readonly observers?: Record<string, (...values: never[]) => void>
    readonly methods?: Methods
  } & ThisType<ComponentInstance<Data & Record<string, unknown>> & Methods>,
): void

/** Put in by the build: what the phone trusts from the first start (WeChat), or null (web). */
declare const LINLI_ESTATE: import('../services/trust').CompiledEstate | null

declare function setTimeout(action: () => void, ms: number): number
declare function clearTimeout(timer: ReturnType<typeof setTimeout> | undefined): void
declare function setInterval(action: () => void, ms: number): number
declare function clearInterval(timer: ReturnType<typeof setInterval> | undefined): void
