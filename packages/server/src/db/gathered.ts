/**
 * Owns asking the database about many things at once. The first question goes at once; those that come within a few milliseconds of the last go together,
 * in one statement: strangers decide how many questions there are, and not how many statements. Refuses to hold an answer.
 */

/** Between two statements. What a question waits beside others at most; alone it waits for nothing. */
const EVERY_MS = 5
/** Questions of one statement. */
const MOST = 500

interface Question<Value> {
  readonly answer: Promise<Value | undefined>
  readonly resolve: (value: Value | undefined) => void
  readonly reject: (error: unknown) => void
}

/**
 * @param ask the values of the keys that have one. Asked after each of its questions came, never before. When it fails, so do all of them.
 */
export function gathered<Key extends string, Value>(
  ask: (keys: readonly Key[]) => Promise<ReadonlyMap<Key, Value>>,
): (key: Key) => Promise<Value | undefined> {
  let waiting = new Map<Key, Question<Value>>()
  let isPausing = false

  const go = (): void => {
    const questions = waiting
    waiting = new Map()
    isPausing = true
    setTimeout(() => (waiting.size > 0 ? go() : (isPausing = false)), EVERY_MS)
    const keys = [...questions.keys()]
    for (let at = 0; at < keys.length; at += MOST) {
      const some = keys.slice(at, at + MOST)
      ask(some).then(
        (found) => some.forEach((key) => questions.get(key)!.resolve(found.get(key))),
        (error: unknown) => some.forEach((key) => questions.get(key)!.reject(error)),
      )
    }
  }

  return (key) => {
    const known = waiting.get(key)
    if (known !== undefined) return known.answer
    const { promise: answer, resolve, reject } = Promise.withResolvers<Value | undefined>()
    waiting.set(key, { answer, resolve, reject })
    if (!isPausing) go()
    return answer
  }
}
