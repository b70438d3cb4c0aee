/**
 * Owns what an organization can settle for itself: each setting with its shape, what holds while nothing was chosen, and the least role that may
 * change it. Refuses settings that are not here. To add one: a line in each of the three, and what it means beside who reads it.
 */
import { z } from 'zod'
import type { Role } from './access.ts'
import { emailDomain } from './schemas.ts'

/** Whose keys of model providers calls go out with. */
export const PROVIDER_KEY_MODES = ['either', 'byok_only', 'vault_only'] as const
/** One of them. */
export type ProviderKeyMode = (typeof PROVIDER_KEY_MODES)[number]

const shapes = {
  audit_use_mode: z
    .enum(['batched', 'strict'])
    .describe('`strict`: a use of a credential is on record, committed, before the credential is opened; `batched`: within moments after'),
  email_domains: z
    .array(emailDomain)
    .max(100)
    .describe('Only people with a verified e-mail address in one of these domains are invited, join and get in; empty: any'),
  provider_key_mode: z
    .enum(PROVIDER_KEY_MODES)
    .describe(
      'Whose keys of model providers calls go out with. `either`: the caller’s own where it brings one, else one that is kept; `byok_only`: the caller’s own alone; `vault_only`: kept ones alone',
    ),
  store_prompts: z
    .boolean()
    .describe(
      'What is sent to models is kept, sealed under the organization’s data key, for `stored_content_days`; otherwise nothing of it ever is',
    ),
  store_responses: z.boolean().describe('The same of what models answer'),
  stored_content_days: z.int().min(1).max(365).describe('How long both are kept; of what is kept from now on'),
} as const

/** All settings of an organization, with what is in force. */
export const organizationSettings = z.object(shapes).meta({ id: 'OrganizationSettings' })
/** What is named is changed, the rest stays. */
export const settingsChange = z
  .strictObject(shapes)
  .partial()
  .refine((change) => Object.values(change).some((value) => value !== undefined), 'must name what to change')
  .meta({ minProperties: 1 })

/** All settings, by name. */
export type OrganizationSettings = z.output<typeof organizationSettings>
/** One of them. */
export type SettingName = keyof OrganizationSettings
/** What is named is changed. */
export type SettingsChange = { readonly [Name in SettingName]?: OrganizationSettings[Name] | undefined }

/** Where nobody chose. */
export const SETTING_DEFAULTS: OrganizationSettings = {
  audit_use_mode: 'batched',
  email_domains: [],
  provider_key_mode: 'either',
  store_prompts: false,
  store_responses: false,
  stored_content_days: 30,
}

/** The least role that may change each. */
export const SETTING_ROLES: Readonly<Record<SettingName, Role>> = {
  audit_use_mode: 'ADMIN',
  email_domains: 'OWNER',
  provider_key_mode: 'ADMIN',
  store_prompts: 'OWNER',
  store_responses: 'OWNER',
  stored_content_days: 'OWNER',
}

/** The settings in force, and who chose those that were chosen. */
export const settingsInForce = z
  .object({
    settings: organizationSettings,
    chosen: z.array(z.object({ name: z.string(), by: z.string(), at: z.iso.datetime() })),
  })
  .meta({ id: 'SettingsInForce' })
