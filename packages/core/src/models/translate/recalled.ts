/**
 * Owns which part of a request its answer is made from. Refuses to recall the rest: an answer may take an hour, and a prompt millions of bytes.
 */
import { fields } from './json.ts'
import { ECHOED } from './responses.ts'
import type { Asked, ModelOperation, Translation } from './translation.ts'

/**
 * What stands in for the request where its answer is made, in one piece or streamed: the answer is the same. Of a few bytes for chat completions and for what
 * needs no translation, without the input for responses, all of it for embeddings, whose answers come at once.
 */
export function recalled(
  asked: Asked,
  { operation, translation }: { readonly operation: ModelOperation; readonly translation: Pick<Translation, 'native'> },
): Asked {
  const { model, stream } = asked
  if (translation.native) return { model, stream }
  if (operation === 'embeddings') return asked
  if (operation === 'chat')
    return { model, stream, stream_options: { include_usage: fields(asked['stream_options'])['include_usage'] === true } }
  return { model, stream, ...Object.fromEntries(ECHOED.map((name) => [name, asked[name]])) }
}
