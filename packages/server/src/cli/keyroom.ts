/** Owns how commands come to what is sealed. Refuses beside a gateway that runs on the same data, and says what to do instead. */
import { hasCode } from '@sallyport/core'
import { openKeyroom } from '../compose/index.ts'
import type { Keyroom } from '../compose/index.ts'
import type { Config } from '../config.ts'
import { CommandError } from './command.ts'

/**
 * To be closed by the caller.
 * @param instead the operations of the API that do the same.
 * @throws CommandError while a gateway runs on the data; whatever `openKeyroom` throws.
 */
export async function enterKeyroom(config: Config, instead: string, provesRootKeys: boolean): Promise<Keyroom> {
  try {
    return await openKeyroom(config, { provesRootKeys })
  } catch (error) {
    if (!hasCode(error, 'data_dir_in_use')) throw error
    throw new CommandError(`A gateway runs on ${config.dataDir}. Stop it first; or leave it running and use its API: ${instead}.`)
  }
}
