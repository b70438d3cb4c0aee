/** Another process of the same application: ends a user's connection, and is killed while the provider is asked. */
import { Sallyport } from '../../src/index.ts'
import type { SallyportConfig } from '../../src/index.ts'

const { config, userId } = JSON.parse(process.argv[2]!) as { config: SallyportConfig; userId: string }
const sallyport = await Sallyport.init(config)
await sallyport.disconnect({ provider: 'strict', userId })
