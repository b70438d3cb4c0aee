/** What applications want of an account, under one name whoever the provider is. */
export const FEATURES = [
  'calendar.read',
  'files.read',
  'issues.read',
  'library.read',
  'mail.read',
  'meetings.read',
  'messages.read',
  'messages.write',
  'notifications.read',
  'posts.read',
  'posts.write',
  'profile.read',
  'records.read',
  'repositories.read',
  'starred.read',
  'tasks.read',
] as const

/** What one may want of a provider, by the name that it has at every provider. */
export type Feature = (typeof FEATURES)[number]
