import type { z } from 'zod'
import type { settingsInForce } from '@sallyport/contract'
import type { SettledOrganization } from '../../organizations/index.ts'

export function presentSettings({ settings, chosen }: SettledOrganization): z.input<typeof settingsInForce> {
  return { settings, chosen: chosen.map(({ name, updatedBy, updatedAt }) => ({ name, by: updatedBy, at: updatedAt.toISOString() })) }
}
