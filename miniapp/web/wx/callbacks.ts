/** An async function in WeChat's callback form. */

export function asCall<Options, Result>(
  action: (options: Options) => Promise<Result> | Result,
): WxCall<Options, Result> {
  return (options) => {
    void Promise.resolve()
      .then(() => action(options))
      .then(
        (result) => options.success?.(result),
        (error: unknown) => options.fail?.({ errMsg: String(error) }),
      )
      .then(() => options.complete?.())
  }
}
