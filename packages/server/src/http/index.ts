/** The HTTP face: the server, problems, and the guards that every route stands behind. */
export { lingerOverBody } from './unread-body.ts'
export { clientAddress, isTrustedPeer, rawValues, trustedProxies } from './client-address.ts'
export type { TrustedProxies } from './client-address.ts'
export {
  cookieValues,
  credentialOf,
  FOREIGN_KEY_HEADERS,
  holdsGatewayKey,
  misplaced,
  percentDecoded,
  refuseMisplacedKeys,
} from './credentials.ts'
export type { Credential } from './credentials.ts'
export { createCrossOrigin } from './cross-origin.ts'
export type { CrossOrigin, CrossOriginOptions } from './cross-origin.ts'
export { createCursors } from './cursor.ts'
export type { CursorBinding, Cursors } from './cursor.ts'
export { EDGE_HEADERS, transportHeaders } from './edge-headers.ts'
export { PAGE_POLICY, useContentPolicy } from './headers.ts'
export { parseJsonBody } from './json-body.ts'
export { DEFAULT_SERVER_LIMITS } from './node-server.ts'
export type { ServerLimits } from './node-server.ts'
export { notFound, ProblemError, problemFor, problemHeaders, PROBLEMS, sendProblem, sourceOf, stepUpRequired } from './problem.ts'
export type { CredentialFacts, FieldFault, ProblemRow } from './problem.ts'
export { createProjectOrigins } from './project-origins.ts'
export type { ProjectOrigins } from './project-origins.ts'
export { addressOf } from './request-guard.ts'
export type { Caller } from './request-guard.ts'
export { PUBLIC_READ } from './route-guard.ts'
export { createHttpServer } from './server.ts'
export type { HttpServer, HttpServerOptions } from './server.ts'
export { createSessionCookie, sessionCookieName } from './session-cookie.ts'
export type { SessionCookie } from './session-cookie.ts'
export type { PathIds } from './tenant-path.ts'
export { clientCertificateOf, openConfiguredCertificate, openTlsCertificate } from './tls.ts'
export type { TlsCertificate, TlsErrorCode } from './tls.ts'
