import type { IntegrationId } from '@sallyport/core'
import { integrationList as listIntegrations } from '../../../db/index.ts'
import { implement } from '../../operation.ts'
import { listPage } from '../../page.ts'
import { inEnvironment } from '../../tenant.ts'
import { presentIntegration } from '../present.ts'

export const integrationList = implement('integrationList', (call) =>
  inEnvironment(call, (tx, at) =>
    listPage(call, {
      rows: (page) => listIntegrations(tx, at, page),
      keyOf: (integration) => integration.id,
      readKey: (text: string) => text as IntegrationId,
      present: (integration) => presentIntegration(integration, call.deps.publicUrl),
    }),
  ),
)
