import { formatId } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { readContent } from '../../../content/index.ts'
import type { ReadPart } from '../../../content/index.ts'
import { notFound } from '../../../http/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import { inEnvironment } from '../../tenant.ts'

/** That it was read is committed before anybody has it. */
export const storedContentGet = implement('storedContentGet', (call) =>
  inEnvironment(call, async (tx, at) => {
    const { request } = call.ids
    const parts = await readContent(tx, call.deps.vault, at, request)
    if (parts.length === 0) throw notFound()
    await appendAudit(tx, {
      action: 'stored_content.read',
      actor: principalRef(call.principal),
      target: formatId('req', request),
      detail: { parts: parts.map(({ part, provider }) => `${part} ${provider}`) },
    })
    return { data: parts.map(present) }
  }),
)

function present({ part, provider, endUser, status, bytes, whole, encoding, content, storedAt, expiresAt }: ReadPart) {
  const times = { stored_at: storedAt.toISOString(), expires_at: expiresAt.toISOString() }
  return { part, provider, end_user: endUser, status, bytes, whole, encoding, content, ...times }
}
