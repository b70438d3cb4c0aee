/**
 * Owns what of a call says in which account, or at whose cost, a credential of it acts. Beside a key that is kept nothing of it goes on: who may use a key may not choose
 * among all that it opens. Beside a caller's own key it is the caller's own business.
 */
import { dashed, queryParameters } from '../http/index.ts'
import type { ModelProvider } from './schema.ts'

/** In lower case. What would be a second credential beside the one that is put in belongs here too. */
export const ACCOUNT_HEADERS: ReadonlySet<string> = new Set([
  'openai-organization',
  'openai-project',
  'anthropic-organization-id',
  'anthropic-workspace-id',
  'x-goog-user-project',
  'x-goog-iam-authority-selector',
  'x-goog-iam-authorization-token',
  'x-ms-authorization-auxiliary',
  'ocp-apim-subscription-key',
  'apim-subscription-key',
])

/** `headers` (flat) as they may go beside a kept key: without those of `ACCOUNT_HEADERS`, but for what the provider's record leaves to callers. */
export function withinAccount({ callerHeaders }: Pick<ModelProvider, 'callerHeaders'>, headers: readonly string[]): readonly string[] {
  const leaves = (name: string): boolean => {
    const known = dashed(name.toLowerCase())
    return ACCOUNT_HEADERS.has(known) && !callerHeaders.includes(known)
  }
  if (!headers.some((name, at) => at % 2 === 0 && leaves(name))) return headers
  return headers.filter((_text, at) => !leaves(headers[at - (at % 2)]!))
}

/** Google's servers take the project that pays in the query too (https://cloud.google.com/apis/docs/system-parameters). */
const IN_QUERY = /^\$?userproject(?:\[|$)/iu
const OF_QUERY = 'x-goog-user-project'

/** Whether the query of a path (below the base) names another account, which may not be beside a kept key. */
export function leavesAccount({ dialect, callerHeaders }: Pick<ModelProvider, 'dialect' | 'callerHeaders'>, path: string): boolean {
  if (dialect !== 'gemini' || callerHeaders.includes(OF_QUERY)) return false
  return queryParameters(path).some(({ name }) => IN_QUERY.test(name))
}
