/**
 * Calls to models through the gateway: OpenAI's own client, with another address and a gateway key. Which provider answers is in the model's name, whose
 * use it is in a header, and what it may cost in a budget that somebody set in the console.
 *
 *   GATEWAY_URL=http://127.0.0.1:7255 GATEWAY_KEY=sp_test_... node examples/models.ts sandbox/sandbox-large ann 'count to 9'
 */
import OpenAI, { APIError } from 'openai'

export interface Gateway {
  readonly url: string
  /** With the scope `llm:call`. */
  readonly key: string
}

export interface Question {
  /** `provider/model`, or the name of a route. */
  readonly model: string
  /** Your own id of the user whose use it is. */
  readonly user: string
  readonly text: string
}

/** Writes the answer with `print` as it comes. Gives the exit code: 2 when a budget has no room for the call, which did not go out then. */
export async function main({ url, key }: Gateway, { model, user, text }: Question, print: (words: string) => void): Promise<number> {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, defaultHeaders: { 'Sallyport-User': user } })
  try {
    const stream = await client.chat.completions.create({
      model,
      messages: [{ role: 'user', content: text }],
      stream: true,
      // So that use is measured, and not estimated from the length of what passed by.
      stream_options: { include_usage: true },
    })
    for await (const { choices } of stream) print(choices[0]?.delta.content ?? '')
    return 0
  } catch (error) {
    if (!(error instanceof APIError) || error.code !== 'budget_exceeded') throw error
    print(`${error.message}\n`)
    return 2
  }
}

if (import.meta.main) {
  const { GATEWAY_URL, GATEWAY_KEY } = process.env as Record<string, string>
  const [model, user, text] = process.argv.slice(2)
  const question = { model: model!, user: user!, text: text! }
  process.exitCode = await main({ url: GATEWAY_URL!, key: GATEWAY_KEY! }, question, (words) => void process.stdout.write(words))
}
