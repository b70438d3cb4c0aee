/** Owns the settings of limits: the standard, and the most that anybody may be given. Refuses a standard beyond the most. */
import { z } from 'zod'
import type { ConfigFault } from './config-error.ts'
import { integer } from './setting.ts'

const MOST = 1_000_000

export const rate = z.strictObject({
  perSecond: integer(
    { min: 1, max: MOST, by: 20 },
    'Requests a second for an organization, a project and a key without a limit of their own, each; and for a person in the console.',
  ),
  burst: integer({ min: 1, max: MOST, by: 40 }, 'How many of them may come at once after a rest.'),
  maxPerSecond: integer(
    { min: 1, max: MOST, by: 10_000 },
    'The most that an organization, a project or a key can be given. Larger ones that were set earlier hold as far as this.',
  ),
  maxBurst: integer({ min: 1, max: MOST, by: 20_000 }, 'The same for requests at once.'),
})

export function rateFaults({ perSecond, burst, maxPerSecond, maxBurst }: Partial<z.output<typeof rate>>): ConfigFault[] {
  return [
    ...beyond('rate.perSecond', perSecond, 'rate.maxPerSecond', maxPerSecond),
    ...beyond('rate.burst', burst, 'rate.maxBurst', maxBurst),
  ]
}

function beyond(name: string, value: number | undefined, bound: string, most: number | undefined): ConfigFault[] {
  return value === undefined || most === undefined || value <= most ? [] : [{ setting: name, reason: `must not be more than ${bound}` }]
}
