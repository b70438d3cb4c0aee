/** Owns one process that puts everything under the first of its root keys, and tells when it has begun and what it did. */
import { Secret } from '@sallyport/core'
import { openDatabase } from '../../src/db/index.ts'
import { silent } from '../db/fresh-database.ts'
import { openNode } from './rotation-world.ts'

const database = await openDatabase({ url: new Secret(process.env['TEST_DATABASE_URL'] ?? ''), logger: silent })
const { keeper } = await openNode(database, process.env['TEST_ROOT_KEYS'] ?? '')
process.send?.('begun')
if (process.argv[2] === 'wait') await new Promise((resolve) => process.once('message', resolve))
const { dataKeys, systemSecrets, unreadable } = await keeper.rotateRoot('system')
process.send?.({ dataKeys, systemSecrets, unreadable })
process.disconnect()
process.exit()
