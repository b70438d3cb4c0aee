import type { CallPolicy } from '../../db/index.ts'
import type { Call } from '../operation.ts'

/** What stands, with what was given in its place. */
export function policyWith(standing: CallPolicy, given: Call<'integrationUpdate'>['body']['call_policy'] = {}): CallPolicy {
  const named = Object.entries(given).filter(([, value]) => value !== undefined)
  return { ...standing, ...(Object.fromEntries(named) as Partial<CallPolicy>) }
}
