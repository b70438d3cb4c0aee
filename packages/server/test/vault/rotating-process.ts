/** Owns one process that turns an organization's data key and reseals everything, and tells when it has begun and when it is done. */
import { Secret } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { openDatabase } from '../../src/db/index.ts'
import { silent } from '../db/fresh-database.ts'
import { openNode } from './rotation-world.ts'

const database = await openDatabase({ url: new Secret(process.env['TEST_DATABASE_URL'] ?? ''), logger: silent })
const { keeper } = await openNode(database, process.env['TEST_ROOT_KEYS'] ?? '')
const org = process.argv[2] as OrgId
process.send?.('begun')
await keeper.rotateRoot('system')
await keeper.renew(org, 'system')
const { left } = await keeper.sweep(org, 'system')
process.send?.({ left: [...left.values()] })
process.disconnect()
process.exit()
