/**
 * Owns the commands that stand beside the screens of models: for a POSIX shell, on one line, working as pasted. What only the reader knows, and what must
 * not stand in a shell's history, they ask for.
 */

/** Per provider, a small model of its for a first call. Of another provider the command asks for one. */
export const SMALL_MODELS: Readonly<Record<string, string>> = {
  anthropic: 'claude-haiku-4-5',
  gemini: 'gemini-2.5-flash',
  groq: 'openai/gpt-oss-120b',
  mistral: 'mistral-small-latest',
  openai: 'gpt-4.1-mini',
  xai: 'grok-4.3',
  // Beside a gateway that `npm start` runs.
  sandbox: 'sandbox-large',
}

/** Who can be asked: a route's name first, since it was made for that; else a provider that a key is kept for. */
export interface Askable {
  readonly routes: readonly { readonly name: string }[]
  readonly providers: readonly string[]
}

/**
 * A chat completion of one short answer. Undefined while nobody can be asked.
 *
 * @param secret the gateway key; absent: the command asks for it.
 */
export function firstModelCall(origin: string, { routes, providers }: Askable, secret?: string): string | undefined {
  const provider = providers.find((id) => id in SMALL_MODELS) ?? providers[0]
  const name = routes[0]?.name ?? (provider === undefined ? undefined : `${provider}/${SMALL_MODELS[provider] ?? ''}`)
  if (name === undefined) return undefined
  const asksModel = name.endsWith('/')
  const body = `'{"model":"${name}${asksModel ? `'"$MODEL"'` : ''}","messages":[{"role":"user","content":"Say hello."}]}'`
  return [
    secret === undefined ? ask('KEY', 'Sallyport key') : '',
    asksModel ? ask('MODEL', `Model of ${provider}`) : '',
    `curl -H ${bearer(secret)} -H 'Content-Type: application/json' -d ${body} '${origin}/v1/chat/completions'`,
  ].join('')
}

/** Keeps a provider's key, as a deployment would. `path` is that of the operation. */
export function keepProviderKey(origin: string, path: string): string {
  const body = `'{"provider":"openai","secret":"'"$SECRET"'"}'`
  return [
    ask('KEY', 'Sallyport key'),
    ask('SECRET', 'Key of OpenAI'),
    `curl -H ${bearer()} -H 'Content-Type: application/json' -d ${body} '${origin}${path}'`,
  ].join('')
}

function ask(variable: string, what: string): string {
  return `printf '${what}: '; read -r ${variable}; `
}

function bearer(secret?: string): string {
  return secret === undefined ? '"Authorization: Bearer $KEY"' : `'Authorization: Bearer ${secret}'`
}
