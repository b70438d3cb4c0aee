/** Owns docs/access.md: who may use which operation, as the contract declares it. Refuses a row that the contract doesn't have. */
import { operations, ROLE_CONTAINS, ROLES, SCOPES } from '@sallyport/contract'
import type { Operation, RouteAccess, Scope } from '@sallyport/contract'

const HEAD = `# Who may use what

Made from the contract's declarations by \`npm run docs\`; nothing here is written by hand, and the gateway decides by the same table. An operation without a declaration stops the start.

- **Role**: the least role of a person in the organization of the path; larger ones contain it. "-": people can't use it.
- **Scope**: what a gateway key must hold. "-": keys can't use it. A key acts in its own project and environment alone; a key of the organization in all its projects, of its environment, and it alone where the tenant is the organization. What environments share is not changed by test keys, nor by keys that are bound to a connection; nor do the latter change integrations, event sources and keys of model providers, which other connections stand on.
- **Tenant**: how far the path names it. What lies in another organization, and for keys in another project, is answered like what doesn't exist: 404.
- **Audit**: the event that a success leaves in the organization's log.
- **Body**: the largest request body; "-": none is taken.
- **Second factor**: the person must have signed in with one (\`aal2\`).

`

/** What no operation declares: the planes that call out ask for it themselves. */
const CALLS: Readonly<Partial<Record<Scope, string>>> = {
  'proxy:call': 'calls through `/proxy/`',
  'llm:call': 'calls to models, through `/llm/` and `/v1/`',
}

/** The whole page. */
export function accessReference(): string {
  const all = Object.entries<Operation>(operations)
  const tags = [...new Set(all.map(([, { tag }]) => tag))]
  return `${HEAD}${roles()}\n${scopes(all)}\n${tags.map((tag) => table(tag, all)).join('\n')}`
}

function roles(): string {
  const rows = ROLES.map((role) => `| ${role} | ${ROLE_CONTAINS[role].filter((other) => other !== role).join(', ') || '-'} |`)
  return ['## Roles', '', '| Role | Contains |', '|---|---|', ...rows, ''].join('\n')
}

function scopes(all: readonly (readonly [string, Operation])[]): string {
  const rows = SCOPES.map((scope) => {
    const names = all.filter(([, { access }]) => access.scope === scope).map(([name]) => `\`${name}\``)
    return `| \`${scope}\` | ${names.join(', ') || (CALLS[scope] ?? '-')} |`
  })
  return ['## Scopes', '', '| Scope | Opens |', '|---|---|', ...rows, ''].join('\n')
}

function table(tag: string, all: readonly (readonly [string, Operation])[]): string {
  const rows = all.filter(([, operation]) => operation.tag === tag).map(([name, operation]) => row(name, operation))
  const head = '| Operation | Route | Role | Scope | Tenant | Audit | Body | Second factor |'
  return [`## ${tag}`, '', head, '|---|---|---|---|---|---|---|---|', ...rows, ''].join('\n')
}

function row(name: string, { method, path, access }: Operation): string {
  const { role, scope } = whoIn(access)
  const audit = access.audit === 'none' ? '-' : `\`${access.audit}\``
  const body = access.bodyLimit === 0 ? '-' : `${access.bodyLimit / 1024} KiB`
  const second = access.stepUp === undefined ? '-' : 'yes'
  return `| \`${name}\` | \`${method} ${path}\` | ${role} | ${scope} | ${access.tenant} | ${audit} | ${body} | ${second} |`
}

function whoIn(access: RouteAccess): { role: string; scope: string } {
  if (access.audience === 'public') return { role: 'anybody', scope: 'anybody' }
  if (access.audience === 'principal') return { role: 'any person', scope: 'any key' }
  return { role: access.role ?? '-', scope: access.scope === undefined ? '-' : `\`${access.scope}\`` }
}
