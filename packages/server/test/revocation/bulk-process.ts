/** Owns one process that works on bulk revocations until there are none, and tells how each page went. */
import { Secret } from '@sallyport/core'
import { openDatabase } from '../../src/db/index.ts'
import { silent } from '../db/fresh-database.ts'
import { openRevokingNode } from './world.ts'

const database = await openDatabase({ url: new Secret(process.env['TEST_DATABASE_URL'] ?? ''), logger: silent })
const { service } = await openRevokingNode(database, {
  rootKeys: process.env['TEST_ROOT_KEYS'] ?? '',
  providerOrigin: process.env['TEST_PROVIDER'] ?? '',
})
process.send?.('begun')
while (await service.bulk.work());
process.send?.('done')
process.disconnect()
process.exit()
