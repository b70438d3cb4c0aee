/**
 * Owns what an organization has settled: reading it, and changing it with the change on record. Refuses a stored value that does not fit its shape
 * rather than to go on without it, and a change that would lock out whoever makes it.
 */
import { isDeepStrictEqual } from 'node:util'
import { organizationSettings, SETTING_DEFAULTS, SETTING_ROLES } from '@sallyport/contract'
import type { OrganizationSettings, SettingName, SettingsChange } from '@sallyport/contract'
import { formatId } from '@sallyport/core'
import { appendAudit } from '../audit/index.ts'
import { settingList, settingPut } from '../db/index.ts'
import type { StoredSetting, TenantTx } from '../db/index.ts'
import type { PersonPrincipal } from '../identity/index.ts'
import { takesEmail } from './email-domains.ts'
import { OrganizationError } from './organization-error.ts'
import { holdAs, requireRole } from './standing.ts'

export interface SettledOrganization {
  readonly settings: OrganizationSettings
  /** Of those that were chosen. */
  readonly chosen: readonly StoredSetting[]
}

/** @throws ZodError when something is stored that no version of this build could have stored */
export async function readSettings(tx: TenantTx): Promise<SettledOrganization> {
  const chosen = (await settingList(tx)).filter(({ name }) => name in SETTING_DEFAULTS)
  const values = Object.fromEntries(chosen.map(({ name, value }) => [name, value]))
  return { settings: organizationSettings.parse({ ...SETTING_DEFAULTS, ...values }), chosen }
}

/** What a change of a setting may not do, asked with everything that would be in force. Whoever adds a setting that can lock somebody out says it here. */
const GUARDS: { readonly [Name in SettingName]?: (wanted: OrganizationSettings, maker: PersonPrincipal) => void } = {
  email_domains({ email_domains: domains }, maker) {
    if (takesEmail(domains, maker.email)) return
    throw new OrganizationError(
      'email_domain_refused',
      'These domains would lock you out: your own verified e-mail address is in none of them.',
    )
  },
}

/**
 * Settles what is named; what stands already is no change.
 * @throws OrganizationError `not_found`, `role_exceeded` for a setting that needs a larger role, `email_domain_refused`
 */
export async function changeSettings(tx: TenantTx, actor: PersonPrincipal, change: SettingsChange): Promise<SettledOrganization> {
  const maker = await holdAs(tx, actor.userId)
  const { settings } = await readSettings(tx)
  const named = (Object.keys(change) as SettingName[]).filter((name) => change[name] !== undefined)
  const changed = named.filter((name) => !isDeepStrictEqual(change[name], settings[name]))
  for (const name of named) requireRole(maker.role, SETTING_ROLES[name])
  const wanted = organizationSettings.parse({ ...settings, ...Object.fromEntries(changed.map((name) => [name, change[name]])) })
  const by = formatId('user', actor.userId)
  for (const name of changed) {
    GUARDS[name]?.(wanted, actor)
    await settingPut(tx, name, wanted[name], by)
  }
  if (changed.length > 0) {
    const detail = Object.fromEntries(changed.map((name) => [name, { from: settings[name], to: wanted[name] }]))
    await appendAudit(tx, { action: 'settings.updated', actor: by, target: formatId('org', tx.org), detail })
  }
  return readSettings(tx)
}
