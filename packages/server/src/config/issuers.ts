/**
 * Owns the settings of whose tokens sign people in, and what must be true between those. Refuses an issuer whose keys, algorithms or audiences are
 * left to its tokens: each is pinned here, and what is not said has one value.
 */
import { z } from 'zod'
import { readSharedSecrets } from '@sallyport/core'
import type { ConfigFault } from './config-error.ts'
import { endpointFault, isLoopback } from './network-text.ts'
import { secret, setting, textWithout } from './setting.ts'

const ASYMMETRIC = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const
const SHARED = ['HS256', 'HS384', 'HS512'] as const
const DAY_S = 86_400

const issuerText = textWithout((text) => {
  const fault = endpointFault(text)
  return fault ?? (text.includes('?') ? 'must not have a query' : undefined)
})
const audience = z.string().min(1).max(512)
const domain = z
  .string()
  .max(253)
  .regex(/^(?:\*|(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]*[a-z][a-z0-9-]*)$/u)

const issuer = z
  .strictObject({
    issuer: issuerText.describe('The exact `iss` of its tokens'),
    kind: z.enum(['oidc', 'supabase']).default('oidc').describe('`supabase` knows its claims: role, aal, amr, session_id'),
    audiences: z.array(audience).min(1).max(10).optional().describe('Of its tokens, all of them. `supabase`: `authenticated`'),
    algorithms: z
      .array(z.enum([...ASYMMETRIC, ...SHARED]))
      .min(1)
      .max(10)
      .optional()
      .describe('Default: `RS256`; `ES256` with `supabase`; `HS256` with `secret`'),
    keysUri: textWithout(endpointFault).optional().describe('Its JWK set. `supabase`: `<issuer>/.well-known/jwks.json`'),
    secret: z.string().min(1).max(32).optional().describe('Name in `jwtSecrets`, instead of `keysUri`'),
    tokenType: z
      .enum(['at+jwt', 'jwt', 'id'])
      .optional()
      .describe('Default: `at+jwt` (RFC 9068); `jwt` with `supabase`; `id` takes ID tokens'),
    logoutAudiences: z
      .array(audience)
      .min(1)
      .max(10)
      .optional()
      .describe('Client ids that its logout tokens are for. Default: `audiences` with `tokenType: id`; else none are taken'),
    emailDomains: z.array(domain).max(100).default([]).describe('Domains for which it is believed that an address is verified; `*`: any'),
    secondFactors: z
      .array(z.string().min(1).max(255))
      .max(20)
      .default([])
      .describe('Values of `acr` that mean a second factor, beside `mfa` in `amr`'),
    maxTokenAgeS: z
      .int()
      .min(60)
      .max(7 * DAY_S)
      .default(DAY_S)
      .describe('Oldest token that is taken, since `iat`'),
    sessionS: z
      .int()
      .min(60)
      .max(DAY_S / 2)
      .default(DAY_S / 2)
      .describe('Life of a console session that one of its tokens opens'),
  })
  .superRefine((value, context) => {
    for (const [path, message] of entryFaults(value)) context.addIssue({ code: 'custom', path: [path], message })
  })

/** One entry as it was written, with its plain defaults. What follows from the kind is decided in identity/outside-issuers.ts. */
export type JwtIssuer = z.output<typeof issuer>

interface Entry {
  readonly kind: 'oidc' | 'supabase'
  readonly audiences?: readonly string[] | undefined
  readonly algorithms?: readonly string[] | undefined
  readonly keysUri?: string | undefined
  readonly secret?: string | undefined
  readonly tokenType?: string | undefined
  readonly logoutAudiences?: readonly string[] | undefined
}

function entryFaults({
  kind,
  audiences,
  algorithms = [],
  keysUri,
  secret: name,
  tokenType,
  logoutAudiences,
}: Entry): readonly (readonly [string, string])[] {
  const shared = algorithms.filter((algorithm) => algorithm.startsWith('HS')).length
  return [
    ...(kind === 'oidc' && audiences === undefined ? [['audiences', 'is required: which tokens are for this gateway'] as const] : []),
    ...(kind === 'oidc' && keysUri === undefined && name === undefined ? [['keysUri', 'is required'] as const] : []),
    ...(keysUri !== undefined && name !== undefined ? [['secret', 'must not stand beside keysUri'] as const] : []),
    ...(kind === 'supabase' && tokenType !== undefined && tokenType !== 'jwt' ? [['tokenType', 'must be jwt with supabase'] as const] : []),
    ...(kind === 'supabase' && logoutAudiences !== undefined
      ? [['logoutAudiences', 'must not stand with supabase, which sends none'] as const]
      : []),
    ...(name === undefined && shared > 0 ? [['algorithms', 'must be asymmetric without a secret'] as const] : []),
    ...(name !== undefined && shared < algorithms.length ? [['algorithms', 'must be HS256, HS384 or HS512 with a secret'] as const] : []),
  ]
}

export const jwtIssuers = setting(z.array(issuer).max(20).default([]), {
  kind: 'json',
  expects: 'a list of issuers, each with `issuer`, `audiences` and `keysUri` or `secret`',
  otherwise: 'none: nobody signs in by an outside token',
  about:
    'Issuers whose tokens sign people in, here and by `Authorization: Bearer` on the API. Each is an object of `issuer`, `kind` (`oidc`, `supabase`), `audiences`, `algorithms`, `keysUri` or `secret`, `tokenType` (`at+jwt`, `jwt`, `id`), `logoutAudiences`, `emailDomains`, `secondFactors`, `maxTokenAgeS` and `sessionS`; [people.md](people.md) explains them. One issuer may stand twice, once with its keys and once with its secret, while it moves from one to the other.',
})

export const jwtSecrets = secret(
  'Secrets shared with issuers that sign with nothing better, `name:secret[,name:secret...]`, each of at least 32 bytes. Whoever has one can sign in as anybody of that issuer.',
  (value) => readSharedSecrets(value).faults,
)

export const firstOwner = z.strictObject({
  issuer: setting(textWithout(() => undefined).optional(), {
    kind: 'text',
    expects: 'an issuer of `jwtIssuers`',
    otherwise: 'not set: `sallyport init` prints a one-time link',
    about: 'The issuer of the person whom `sallyport init` makes the owner of the first organization.',
  }),
  subject: setting(textWithout(() => undefined).optional(), {
    kind: 'text',
    expects: 'the `sub` of that person',
    otherwise: 'not set',
    about: 'That person, as the issuer names it in `sub`: an id and no e-mail address.',
  }),
})

/** Settings that passed their own check; what was refused is missing. */
interface Around {
  readonly mode: 'development' | 'production' | undefined
  readonly issuers: readonly JwtIssuer[] | undefined
  readonly secrets: Parameters<typeof readSharedSecrets>[0] | undefined
  readonly firstOwner: { readonly issuer?: string | undefined; readonly subject?: string | undefined }
  readonly insecureAllowOrigins: readonly string[] | undefined
  readonly refused: ReadonlySet<string>
}

export function issuersFaults(around: Around): ConfigFault[] {
  const { issuers } = around
  if (issuers === undefined) return []
  const names = around.secrets === undefined ? new Set<string>() : new Set(readSharedSecrets(around.secrets).secrets.keys())
  return [
    ...issuers.flatMap((entry, index) => {
      const at = `jwtIssuers[${index}]`
      const missing = entry.secret !== undefined && !names.has(entry.secret) && !around.refused.has('jwtSecrets')
      const twice = issuers.findIndex(
        (other) => other.issuer === entry.issuer && (other.secret === undefined) === (entry.secret === undefined),
      )
      return [
        ...(missing ? [fault(`${at}.secret`, 'must be a name in jwtSecrets')] : []),
        ...(twice < index ? [fault(`${at}.issuer`, 'stands twice with the same kind of key')] : []),
        ...urlFaults(`${at}.issuer`, entry.issuer, around, false),
        ...urlFaults(`${at}.keysUri`, entry.keysUri ?? (entry.secret === undefined ? entry.issuer : undefined), around, true),
      ]
    }),
    ...ownerFaults(around, issuers),
  ]
}

/** Keys that came without TLS are whoever's stood between. */
function urlFaults(name: string, url: string | undefined, { mode, insecureAllowOrigins }: Around, fetched: boolean): ConfigFault[] {
  const parsed = url === undefined ? null : URL.parse(url)
  if (parsed === null || parsed.protocol === 'https:') return []
  if (mode === 'production') return [fault(name, 'must be https in production')]
  if (!isLoopback(parsed.hostname)) return [fault(name, 'must be https, or on loopback')]
  const open = !fetched || insecureAllowOrigins === undefined || insecureAllowOrigins.includes(parsed.origin)
  return open ? [] : [fault(name, 'must be https, or its origin listed in egress.insecureAllowOrigins')]
}

function ownerFaults({ firstOwner: { issuer: by, subject }, refused }: Around, issuers: readonly JwtIssuer[]): ConfigFault[] {
  if (refused.has('firstOwner.issuer') || refused.has('firstOwner.subject')) return []
  if ((by === undefined) !== (subject === undefined)) return [fault('firstOwner.issuer', 'and firstOwner.subject must be given together')]
  const known = by === undefined || issuers.some((entry) => entry.issuer === by)
  return known ? [] : [fault('firstOwner.issuer', 'must be an issuer of jwtIssuers')]
}

function fault(name: string, reason: string): ConfigFault {
  return { setting: name, reason }
}
