/**
 * Owns the headers that every control plane answer carries. Refuses caching by default, and framing, sniffing and foreign
 * content always; a scope that serves pages names its own content policy.
 */
import helmet from '@fastify/helmet'
import type { FastifyInstance } from 'fastify'
import { DATA_POLICY, YEAR_S } from './edge-headers.ts'

/** For our own static pages: own files only, no inline script or style. */
export const PAGE_POLICY = pagePolicy("'self'")

/** For the reference page. Its script adds one style element of its own, always the same: exactly that one is let through. */
export const REFERENCE_POLICY = pagePolicy("'self' 'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='")

function pagePolicy(styles: string): string {
  return (
    `default-src 'none'; script-src 'self'; style-src ${styles}; img-src 'self' data:; font-src 'self'; connect-src 'self'; ` +
    "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
  )
}

/** @param https whether browsers reach us by TLS, at a proxy or here: then they are told never to try without (battery X-02). */
export async function addSecurityHeaders(app: FastifyInstance, https: boolean): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: false,
    strictTransportSecurity: https ? { maxAge: YEAR_S, includeSubDomains: false } : false,
    referrerPolicy: { policy: 'no-referrer' },
    frameguard: { action: 'deny' },
    crossOriginResourcePolicy: { policy: 'same-origin' },
  })
  app.addHook('onRequest', async (request, reply) => {
    reply.header('sallyport-request-id', request.id)
    reply.header('cache-control', 'no-store')
    reply.header('content-security-policy', DATA_POLICY)
  })
}

/** Gives every answer of this scope another content policy. */
export function useContentPolicy(scope: FastifyInstance, policy: string): void {
  scope.addHook('onRequest', async (_request, reply) => {
    reply.header('content-security-policy', policy)
  })
}
