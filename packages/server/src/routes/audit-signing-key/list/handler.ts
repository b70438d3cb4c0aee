import type { AuditSigningKey } from '../../../db/index.ts'
import { implement } from '../../operation.ts'

/** The same for everybody, and public: whoever is shown an export needs it. */
export const auditSigningKeyList = implement('auditSigningKeyList', async ({ deps }) => ({
  keys: (await deps.checkpointer.keys()).map(present),
}))

function present({ id, publicKey, createdAt, retiredAt }: AuditSigningKey) {
  return {
    kty: 'OKP' as const,
    crv: 'Ed25519' as const,
    x: publicKey.toString('base64url'),
    kid: id,
    use: 'sig' as const,
    alg: 'EdDSA' as const,
    created_at: createdAt.toISOString(),
    retired_at: retiredAt && retiredAt.toISOString(),
  }
}
