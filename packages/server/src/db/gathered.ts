/**
 * Owns asking the database about many things at once. The first question goes at once; those that come within a few milliseconds of the last go together,
 * in one statement: strangers decide how many questions there are, and not how many statements. Refuses to hold an answer.
 */
import { TransientMap } from '@sallyport/core'

/** Between two statements. What a question waits beside others at most, of a database that answers; alone it waits for nothing. */
const EVERY_MS = 5
/** Questions of one statement. */
const MOST = 500
/** Statements under way at once. A database that answers slowly would be sent ever more of them, and calls of callers wait behind those for a connection. */
const AT_ONCE = 4

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
  const waiting = new TransientMap<Key, Question<Value>>()
  let isPausing = false
  let underWay = 0

  const go = (): void => {
    if (isPausing || underWay === AT_ONCE || waiting.size === 0) return
    const questions = [...waiting].slice(0, MOST)
    for (const [key] of questions) waiting.delete(key)
    isPausing = true
    setTimeout(() => {
      isPausing = false
      go()
    }, EVERY_MS)
    underWay += 1
    const answered = ask(questions.map(([key]) => key)).then(
      (found) => questions.forEach(([key, { resolve }]) => resolve(found.get(key))),
      (error: unknown) => questions.forEach(([, { reject }]) => reject(error)),
    )
    void answered.finally(() => {
      underWay -= 1
      go()
    })
  }

  return (key) => {
    const known = waiting.get(key)
    if (known !== undefined) return known.answer
    const { promise: answer, resolve, reject } = Promise.withResolvers<Value | undefined>()
    waiting.set(key, { answer, resolve, reject })
    go()
    return answer
  }
}
