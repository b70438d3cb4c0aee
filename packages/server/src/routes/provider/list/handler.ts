import { listProviders } from '@sallyport/core'
import { implement } from '../../operation.ts'

export const providerList = implement('providerList', async () => ({
  data: listProviders().map(({ id, name, docs, defaultScopes }) => ({ id, name, kind: 'oauth2' as const, default_scopes: [...defaultScopes], docs })),
}))
