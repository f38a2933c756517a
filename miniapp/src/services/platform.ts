/** WeChat's callback functions as promises. Knows nothing of Linli. */

export class PlatformError extends Error {}

export function call<Options, Result>(action: WxCall<Options, Result>, options: Options): Promise<Result> {
  return new Promise((resolve, reject) => {
    action({ ...options, success: resolve, fail: (failure) => reject(new PlatformError(failure.errMsg)) })
  })
}

export async function randomBytes(length: number): Promise<Uint8Array> {
  const { randomValues } = await call(wx.getRandomValues, { length })
  const bytes = new Uint8Array(randomValues)
  if (bytes.length !== length) throw new PlatformError('no random bytes')
  return bytes
}

export function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
