import type { ConnectionId } from '@sallyport/core'
import type { Principal } from '../../identity/index.ts'

/** The one connection that a bound key may see; null for every other caller. */
export function boundConnection(principal: Principal): ConnectionId | null {
  return principal.kind === 'key' ? principal.connection : null
}
