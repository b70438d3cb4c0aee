/** Owns which collection gives what a feature promises, under one name whoever the provider is. */
import type { Feature } from '../catalog/index.ts'

const COLLECTIONS: Readonly<Partial<Record<Feature, string>>> = {
  'calendar.read': 'events',
  'issues.read': 'issues',
  'mail.read': 'mail',
  'messages.read': 'messages',
  'notifications.read': 'notifications',
  'posts.read': 'posts',
  'repositories.read': 'repositories',
  'starred.read': 'starred',
}

/** Undefined for a feature of which no connector has items. */
export function collectionOf(feature: Feature): string | undefined {
  return COLLECTIONS[feature]
}
