/** One HTTP exchange with one node. Knows addresses and problem documents (RFC 9457), not what they mean. */

import { call, PlatformError } from './platform'

/** The node could not be reached, or answered with something that is not of our API. */
export class NetworkError extends Error {}

/** The node said no: `code` is stable, `detail` a sentence for people in the language asked for. */
export class ApiProblem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly body: Readonly<Record<string, unknown>>,
    readonly retryAfterMs: number,
  ) {
    super(`${status} ${code}`)
  }

  get field(): string | undefined {
    return typeof this.body['field'] === 'string' ? this.body['field'] : undefined
  }
}

export interface Exchange {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  readonly data?: unknown
  readonly header?: Record<string, string>
  readonly timeoutMs?: number
}

export interface Answer {
  readonly status: number
  readonly text: string
  readonly header: Readonly<Record<string, string>>
}

const RETRY_MS = 2_000

export async function exchange(url: string, options: Exchange = {}): Promise<Answer> {
  const response = await reach(() =>
    call(wx.request, {
      url,
      method: options.method ?? 'GET',
      dataType: 'text',
      ...(options.data === undefined ? {} : { data: options.data }),
      ...(options.header ? { header: options.header } : {}),
      ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
    }),
  )
  return checkAnswer({ status: response.statusCode, text: textOf(response.data), header: response.header })
}

/** The bytes at an address. Throws NetworkError for any answer but 200. */
export async function fetchBytes(url: string, timeoutMs: number): Promise<Uint8Array> {
  const response = await reach(() => call(wx.request, { url, responseType: 'arraybuffer', timeout: timeoutMs }))
  if (response.statusCode !== 200 || typeof response.data === 'string') throw new NetworkError('no bytes')
  return new Uint8Array(response.data)
}

/** A header of an answer, however the host spells its name; '' when there is none. */
export function headerOf(answer: Answer, name: string): string {
  const found = Object.entries(answer.header).find(([key]) => key.toLowerCase() === name.toLowerCase())
  return found?.[1] ?? ''
}

/** One file as the `name` part of a form. */
export async function upload(
  url: string,
  filePath: string,
  header: Record<string, string>,
  name = 'photo',
): Promise<Answer> {
  const response = await reach(() => call(wx.uploadFile, { url, filePath, name, header }))
  return checkAnswer({ status: response.statusCode, text: response.data, header: {} })
}

export function parseAnswer<Body>(answer: Answer): Body {
  try {
    return JSON.parse(answer.text) as Body
  } catch {
    throw new NetworkError('not JSON')
  }
}

function textOf(data: string | ArrayBuffer): string {
  if (typeof data === 'string') return data
  throw new NetworkError('not text')
}

async function reach<Response>(action: () => Promise<Response>): Promise<Response> {
  try {
    return await action()
  } catch (error) {
    if (error instanceof PlatformError) throw new NetworkError(error.message)
    throw error
  }
}

function checkAnswer(answer: Answer): Answer {
  if (answer.status >= 200 && answer.status < 300) return answer
  const body = parseAnswer<Record<string, unknown>>(answer)
  const code = typeof body['code'] === 'string' ? body['code'] : 'unavailable'
  const detail = typeof body['detail'] === 'string' ? body['detail'] : ''
  throw new ApiProblem(answer.status, code, detail, body, retryAfterMs(body))
}

/** From the problem itself: a browser does not show the header Retry-After of another origin. */
function retryAfterMs(body: Readonly<Record<string, unknown>>): number {
  const seconds = Number(body['retry_after_s'])
  return seconds > 0 ? seconds * 1000 : RETRY_MS
}
