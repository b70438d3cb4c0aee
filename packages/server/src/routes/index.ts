/** The control plane's operations over the features. */
export { registerRoutes } from './register.ts'
export type { RouteDeps } from './operation.ts'
