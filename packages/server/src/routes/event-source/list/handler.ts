import type { EventSourceId } from '@sallyport/core'
import { implement } from '../../operation.ts'
import { listPage } from '../../page.ts'
import { inEnvironment } from '../../tenant.ts'
import { presentEventSource } from '../present.ts'

export const eventSourceList = implement('eventSourceList', async (call) => {
  const { ids, deps } = call
  const at = await inEnvironment(call, async (_tx, place) => place)
  return listPage(call, {
    rows: (page) => deps.eventSources.list(ids.org, at, ids.integration, page),
    keyOf: (source) => source.id,
    readKey: (text: string) => text as EventSourceId,
    present: (source) => presentEventSource(source, deps.publicUrl),
    filters: [`integration=${ids.integration}`],
  })
})
