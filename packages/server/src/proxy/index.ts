/** The data plane: calls that go out with a connection's credential. */
export { createDataPlane } from './data-plane.ts'
export type { DataPlane, DataPlaneOptions } from './data-plane.ts'
export { routeOut } from './routes-out.ts'
export type { RouteOut } from './routes-out.ts'
export { createTargetCache } from './target-cache.ts'
export type { TargetCache, TargetWanted } from './target-cache.ts'
export { CallError } from './call.ts'
export type { CallErrorCode } from './call.ts'
