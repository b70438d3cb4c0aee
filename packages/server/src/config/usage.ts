/** Owns the settings of what is kept of model calls' use, and what they cost. Refuses to forget rows before the day that they are of is over everywhere. */
import { z } from 'zod'
import { integer, setting, textWithout } from './setting.ts'

export const usage = z.strictObject({
  recordRetentionDays: integer({ min: 2, max: 3_650, by: 90 }, 'How long the row of each model call is kept.'),
  dayRetentionDays: integer(
    { min: 2, max: 36_500, by: 1_100 },
    'How long what model calls used is kept by day: by key, model and provider, and beside that by end user.',
  ),
  prices: setting(textWithout((path) => (path.includes('\0') ? 'must be a path' : undefined)).optional(), {
    kind: 'text',
    expects: 'a path',
    otherwise: 'the prices that come with the gateway alone',
    about:
      'A file with a price book (docs/usage.md), read at the start. What it says of a model stands for what the gateway knows of it; the other prices stay.',
  }),
})
