import { readSettings } from '../../../organizations/index.ts'
import { implement } from '../../operation.ts'
import { inOrganization } from '../../tenant.ts'
import { presentSettings } from '../present.ts'

export const settingsGet = implement('settingsGet', async (call) => presentSettings(await inOrganization(call, readSettings)))
