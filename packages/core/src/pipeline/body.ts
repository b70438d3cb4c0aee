/** Owns looking on while a body passes. Refuses to hold any of it back, and to read ahead of whoever reads. */

export interface Onlooker {
  chunk?(bytes: Uint8Array): void
  /** Once. `whole` is false when it was cut, cancelled, or broke. */
  end?(whole: boolean): void
}

/** The same body, watched. Ends with the signal's reason when that aborts, and lets go of the source. */
export function watched(body: ReadableStream<Uint8Array>, onlooker: Onlooker, signal?: AbortSignal): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  let over = false
  let cut = (): void => undefined
  const end = (whole: boolean): boolean => {
    if (over) return false
    over = true
    signal?.removeEventListener('abort', cut)
    onlooker.end?.(whole)
    return true
  }
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        cut = () => {
          if (!end(false)) return
          controller.error(signal!.reason)
          void reader.cancel(signal!.reason).catch(() => undefined)
        }
        if (signal?.aborted === true) cut()
        else signal?.addEventListener('abort', cut, { once: true })
      },
      async pull(controller) {
        try {
          const { done, value } = await reader.read()
          if (over) return
          if (done) {
            end(true)
            controller.close()
          } else {
            onlooker.chunk?.(value)
            controller.enqueue(value)
          }
        } catch (error) {
          if (end(false)) controller.error(error)
        }
      },
      async cancel(reason) {
        end(false)
        await reader.cancel(reason)
      },
    },
    { highWaterMark: 0 },
  )
}
