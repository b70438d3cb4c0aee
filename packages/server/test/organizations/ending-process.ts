/** Owns one process that carries deletions of organizations on until there are none, telling of each step. */
import { Secret } from '@sallyport/core'
import { openDatabase } from '../../src/db/index.ts'
import { createOrganizationDeletions } from '../../src/organizations/index.ts'
import { silent } from '../db/fresh-database.ts'
import { openRevokingNode } from '../revocation/world.ts'

const database = await openDatabase({ url: new Secret(process.env['TEST_DATABASE_URL'] ?? ''), logger: silent })
const { service } = await openRevokingNode(database, {
  rootKeys: process.env['TEST_ROOT_KEYS'] ?? '',
  providerOrigin: process.env['TEST_PROVIDER'] ?? '',
})
const deletions = createOrganizationDeletions({ database, bulk: service.bulk, logger: silent })
// Until it is killed: what waits is waited for.
for (;;) {
  await deletions.work()
  await service.bulk.work()
  await service.queue.work()
  process.send?.('step')
}
