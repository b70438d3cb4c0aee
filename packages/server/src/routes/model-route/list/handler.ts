import type { ModelRouteId } from '@sallyport/core'
import { modelRouteList as listRows } from '../../../db/index.ts'
import { implement } from '../../operation.ts'
import { listPage } from '../../page.ts'
import { inEnvironment } from '../../tenant.ts'
import { presentModelRoute } from '../present.ts'

export const modelRouteList = implement('modelRouteList', (call) =>
  inEnvironment(call, (tx, at) =>
    listPage(call, {
      rows: (page) => listRows(tx, at, page),
      keyOf: (route) => route.id,
      readKey: (text: string) => text as ModelRouteId,
      present: presentModelRoute,
    }),
  ),
)
