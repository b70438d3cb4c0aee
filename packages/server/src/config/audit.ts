/** Owns the settings of audit logs' checkpoints: how often, and where they go outside the database. Refuses to keep them inside alone. */
import { z } from 'zod'
import { integer, oneOf, setting, textWithout } from './setting.ts'

const to = oneOf(['file', 'log', 'both'])

export const audit = z.strictObject({
  checkpointSeconds: integer({ min: 1, max: 3_600, by: 60 }, 'An audit log that went on is signed for when its last checkpoint is so old.'),
  checkpointEvents: integer({ min: 1, max: 1_000_000, by: 1_000 }, 'And when it went on by so many events, whatever the time.'),
  checkpointTo: setting(to.schema.default('file'), {
    kind: 'text',
    expects: to.expects,
    about:
      'Where checkpoints go outside the database: `file` appends to `audit.checkpointFile`, `log` writes each as a line of the log. Whoever can rewrite the database must not be able to rewrite this.',
  }),
  checkpointFile: setting(textWithout((path) => (path.includes('\0') ? 'must be a path' : undefined)).optional(), {
    kind: 'text',
    expects: 'a path',
    otherwise: '`audit-checkpoints.jsonl` in `dataDir`',
    about:
      'The file that checkpoints are appended to, each synced to its disk. One a node; nothing ever reads or removes it but `sallyport audit verify`.',
  }),
})
