/** wx.request, uploadFile, downloadFile and the state of the network, on fetch. */

import { asCall } from './callbacks'
import { addressOf, readFile } from './files'

const TIMEOUT_MS = 20_000

async function send(url: string, init: RequestInit, timeout: number | undefined): Promise<Response> {
  const abort = new AbortController()
  const timer = setTimeout(() => abort.abort(), timeout ?? TIMEOUT_MS)
  try {
    return await fetch(url, { ...init, signal: abort.signal, credentials: 'omit', referrerPolicy: 'no-referrer' })
  } finally {
    clearTimeout(timer)
  }
}

export const request = asCall(async (options: WxRequest): Promise<WxResponse> => {
  const body = options.data === undefined ? undefined : JSON.stringify(options.data)
  const header = body === undefined ? { ...options.header } : { 'content-type': 'application/json', ...options.header }
  const response = await send(
    options.url,
    { method: options.method ?? 'GET', headers: header, body: body ?? null },
    options.timeout,
  )
  const data = options.responseType === 'arraybuffer' ? await response.arrayBuffer() : await response.text()
  return { statusCode: response.status, data, header: Object.fromEntries(response.headers) }
})

export const uploadFile = asCall(async (options: WxUpload) => {
  const form = new FormData()
  form.append(options.name, await readFile(options.filePath), options.name)
  const response = await send(
    options.url,
    { method: 'POST', body: form, headers: { ...options.header } },
    options.timeout,
  )
  return { statusCode: response.status, data: await response.text() }
})

export const downloadFile = asCall(async (options: { url: string; header?: Record<string, string> }) => {
  const response = await send(options.url, { headers: { ...options.header } }, undefined)
  return { statusCode: response.status, tempFilePath: addressOf(await response.blob()) }
})

export const getNetworkType = asCall((_: object) => ({ networkType: navigator.onLine ? 'unknown' : 'none' }))

export function onNetworkStatusChange(listener: (status: { readonly isConnected: boolean }) => void): void {
  addEventListener('online', () => listener({ isConnected: true }))
  addEventListener('offline', () => listener({ isConnected: false }))
}

/** Server-sent events; the browser reconnects by itself. Returns the function that ends it. */
export function watchEvents(url: string, topics: readonly string[], onEvent: () => void): () => void {
  const source = new EventSource(url)
  topics.forEach((topic) => source.addEventListener(topic, onEvent))
  return () => source.close()
}
