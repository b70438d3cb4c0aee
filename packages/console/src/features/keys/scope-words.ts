/** What each scope lets a key do, in the words of the person who gives it. */
import type { Scope } from '@sallyport/contract'

export const SCOPE_WORDS: Readonly<Record<Scope, string>> = {
  'proxy:call': 'Call providers through connected accounts',
  'llm:call': 'Call models with the keys that are kept for it',
  'projects:read': 'Read the project',
  'projects:write': 'Change the project',
  'keys:read': 'List API keys',
  'keys:write': 'Make and revoke API keys',
  'integrations:read': 'List integrations',
  'integrations:write': 'Add, change and take out integrations',
  'provider_keys:read': 'List keys of model providers, never their text',
  'provider_keys:write': 'Store, change and revoke keys of model providers',
  'model_routes:read': 'List named routes of model calls',
  'model_routes:write': 'Make, change and take out named routes of model calls',
  'connect_sessions:write': 'Begin connecting accounts',
  'connections:read': 'List connections',
  'connections:write': 'Refresh, import and disconnect connections, and forget end users',
  'requests:read': 'List requests',
  'usage:read': 'Read what model calls used and cost',
}
