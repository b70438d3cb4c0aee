/** Another process of the same application: takes the callback that its parent's browser brought, calls, and says what it got. */
import { Sallyport } from '../../src/index.ts'
import type { SallyportConfig } from '../../src/index.ts'

const { config, callback } = JSON.parse(process.argv[2]!) as { config: SallyportConfig; callback: string }
const sallyport = await Sallyport.init(config)
const { account } = await sallyport.handleCallback(callback, { userId: 'user-1' })
const answer = await sallyport.request({ provider: 'strict', userId: 'user-1', path: '/me' })
process.send!({ account: account.id, status: answer.status })
await sallyport.close()
