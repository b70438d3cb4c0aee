/**
 * Owns the rules of who may import whom (docs/architecture.md) and the walk that finds what breaks them: static imports, re-exports and
 * dynamic imports, read from the syntax tree. Refuses an import whose target it can't tell.
 */
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { parseSync } from 'oxc-parser'

export interface Breach {
  readonly file: string
  readonly imports: string
  readonly rule: string
}

/** Packages a package's sources may import, itself aside. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  contract: [],
  core: [],
  client: ['contract'],
  console: ['client', 'contract'],
  server: ['contract', 'core'],
  sandbox: [],
  testkit: ['contract', 'core', 'client', 'server', 'sandbox'],
}
const WORKSPACE: Readonly<Record<string, string>> = {
  '@sallyport/contract': 'contract',
  '@sallyport/core': 'core',
  '@sallyport/client': 'client',
  '@sallyport/console': 'console',
  '@sallyport/sandbox': 'sandbox',
  '@sallyport/testkit': 'testkit',
  sallyport: 'server',
}
/** Inside core each folder sees only what stands to its left. */
const CORE_ORDER = [
  'kernel',
  'observability',
  'crypto',
  'http',
  'pipeline',
  'jwt',
  'keysources',
  'tokens',
  'stores',
  'oauth',
  'oauth1',
  'refresh',
  'catalog',
  'models',
  'connectors',
  'sdk',
]

/** Modules with one door each: the pattern of what is imported, and the folders that may. */
const DOORS: readonly { readonly what: RegExp; readonly names?: RegExp; readonly only: readonly string[]; readonly rule: string }[] = [
  {
    what: /^(pg|kysely)$/u,
    only: ['packages/server/src/db/', 'packages/core/src/stores/postgres/'],
    rule: 'only db and the token store on Postgres import the database driver',
  },
  { what: /^ioredis$/u, only: ['packages/core/src/stores/redis/'], rule: 'only the stores on Redis import its driver' },
  {
    what: /^@opentelemetry\//u,
    only: ['packages/core/src/observability/'],
    rule: 'only observability knows the application’s traces',
  },
  { what: /^koffi$/u, only: ['packages/core/src/keysources/pkcs11/'], rule: 'only a key source calls foreign functions' },
  { what: /^jose$/u, only: ['packages/core/src/jwt/'], rule: 'only core/jwt reads and makes signed tokens' },
  {
    what: /^node:crypto$/u,
    names: /^(create(Hmac|Cipheriv|Decipheriv|SecretKey|PrivateKey|PublicKey)|hkdf|hkdfSync|pbkdf2|scrypt|sign|verify|\*|default)$/u,
    only: ['packages/core/src/crypto/'],
    rule: 'only core/crypto imports ciphers and keyed hashes',
  },
  {
    what: /^eventsource-parser$/u,
    only: ['packages/core/src/models/event-stream.ts'],
    rule: 'only event-stream.ts reads server-sent events',
  },
  { what: /^(undici|node:http2)$/u, only: ['packages/core/src/http/'], rule: 'only core/http goes out' },
  {
    what: /^node:(https|tls)$/u,
    only: ['packages/core/src/http/', 'packages/server/src/http/tls.ts'],
    rule: 'only core/http goes out, and only the server’s listener ends TLS',
  },
  {
    what: /^node:(https|tls)$/u,
    names: /^(request|get|Agent|globalAgent|connect|\*|default)$/u,
    only: ['packages/core/src/http/'],
    rule: 'only core/http goes out',
  },
  {
    // A PKCS#11 module is foreign code: what it overwrites or waits for, it does in a process of its own.
    what: /^(node:)?child_process$/u,
    only: ['packages/server/src/db/embedded/', 'packages/core/src/keysources/pkcs11/'],
    rule: 'only the embedded database and a PKCS#11 module have processes of their own',
  },
  { what: /^(node:)?vm$/u, only: [], rule: 'nothing evaluates text' },
  { what: /^react(-dom)?($|\/)/u, only: ['packages/console/src/'], rule: 'only the console knows React' },
  { what: /^fastify$|^@fastify\//u, only: ['packages/server/src/'], rule: 'only the server knows Fastify' },
]
/** Outside this work's product code: may reach for what it needs to attack and to start it. */
const UNGUARDED = ['packages/testkit/', 'packages/sandbox/']

const isSource = (file: string): boolean => /\.(ts|tsx)$/u.test(file) && !/\.test\.tsx?$/u.test(file) && !file.endsWith('.d.ts')

export function sourceFiles(root: string): string[] {
  return Object.keys(PACKAGES)
    .flatMap((name) =>
      readdirSync(join(root, 'packages', name, 'src'), { recursive: true, encoding: 'utf8' }).map((file) =>
        join('packages', name, 'src', file),
      ),
    )
    .filter(isSource)
    .map((file) => file.split(sep).join('/'))
    .toSorted()
}

interface Import {
  readonly specifier: string | undefined
  readonly names: readonly string[]
}

function importsOf(file: string, text: string): Import[] {
  const { module, errors } = parseSync(file, text)
  if (errors.length > 0) throw new Error(`${file} does not parse: ${errors[0]!.message}`)
  return [
    ...module.staticImports.map((i) => ({
      specifier: i.moduleRequest.value,
      names: i.entries.map(({ importName }) => importName.name ?? (text.slice(i.start, i.end).includes('* as') ? '*' : 'default')),
    })),
    ...module.staticExports
      .flatMap((e) => e.entries)
      .filter((entry) => entry.moduleRequest !== null)
      .map((entry) => ({ specifier: entry.moduleRequest!.value, names: [entry.importName.name ?? '*'] })),
    ...module.dynamicImports.map((i) => ({ specifier: literal(text.slice(i.moduleRequest.start, i.moduleRequest.end)), names: ['*'] })),
  ]
}

function literal(expression: string): string | undefined {
  return /^(['"])(?<text>[^'"\\]+)\1$/u.exec(expression)?.groups?.['text']
}

/** What the file at `file` (relative to the root, `/`-separated) may not import, given its text. */
export function breachesOf(file: string, text: string): Breach[] {
  return importsOf(file, text).flatMap((found) =>
    judge(file, found).map((rule) => ({ file, imports: found.specifier ?? '(computed)', rule })),
  )
}

function judge(file: string, { specifier, names }: Import): string[] {
  if (specifier === undefined) return ['a dynamic import names its target literally']
  const from = place(file)
  if (specifier.startsWith('.')) {
    const target = relative('/', resolve('/', dirname(file), specifier))
      .split(sep)
      .join('/')
    return insideRules(from, place(target))
  }
  const workspace = WORKSPACE[specifier]
  if (workspace !== undefined) return packageRules(from.package, workspace)
  if (
    WORKSPACE[
      specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/')
    ] !== undefined
  )
    return ['a package is imported by its name alone']
  return outsideRules(file, from, specifier, names)
}

interface Place {
  readonly package: string
  readonly folders: readonly string[]
  readonly path: string
}

function place(path: string): Place {
  const [, name = '', , ...rest] = path.split('/')
  return { package: name, folders: rest.slice(0, -1), path }
}

function insideRules(from: Place, to: Place): string[] {
  if (from.package !== to.package)
    return packageRules(from.package, to.package).concat(from.package === 'testkit' ? [] : ['another package is imported by its name'])
  if (from.package === 'core') return coreRules(from, to)
  if (from.package === 'server') return serverRules(from, to)
  return []
}

function packageRules(from: string, to: string): string[] {
  return from === to || PACKAGES[from]?.includes(to) ? [] : [`${from} does not import ${to}`]
}

function coreRules(from: Place, to: Place): string[] {
  if (from.folders.length === 0) return []
  const [here, there] = [CORE_ORDER.indexOf(from.folders[0]!), CORE_ORDER.indexOf(to.folders[0] ?? '')]
  if (here < 0 || there < 0) return ['a folder of core stands in the order kernel <- ... <- sdk']
  return there <= here ? [] : [`core/${from.folders[0]} stands to the left of core/${to.folders[0]}`]
}

/** routes -> features -> db; a feature sees another through its index.ts; compose/, main.ts and the command line see everything. */
function serverRules(from: Place, to: Place): string[] {
  const [here, there] = [from.folders[0], to.folders[0]]
  if (here === undefined || here === 'cli' || here === 'compose' || here === there) return []
  if (there === undefined) return to.path.endsWith('/config.ts') ? [] : ['only compose, main.ts and cli import the root of the server']
  if (here === 'db') return ['db sees no feature']
  if (there === 'routes') return ['nothing but compose imports routes']
  if (there === 'compose') return ['only main.ts and cli import compose']
  if (there === 'db') return []
  return to.path.endsWith('/index.ts') ? [] : ['a feature is seen through its index.ts']
}

function outsideRules(file: string, from: Place, specifier: string, names: readonly string[]): string[] {
  if (from.package === 'contract' && specifier !== 'zod') return ['contract imports zod and nothing else']
  if (UNGUARDED.some((folder) => file.startsWith(folder))) return []
  return DOORS.filter(({ what, names: wanted, only }) => {
    if (!what.test(specifier) || only.some((folder) => file.startsWith(folder))) return false
    return wanted === undefined || names.some((name) => wanted.test(name))
  }).map(({ rule }) => rule)
}

/** Words that may stand in certain files only, whatever is imported. */
export const WORDS: readonly { readonly word: RegExp; readonly only: readonly string[]; readonly rule: string }[] = [
  {
    word: /\bprocess\.env\b/u,
    only: ['packages/server/src/config.ts', 'packages/server/src/config/'],
    rule: 'only config.ts reads the environment',
  },
  {
    word: /\bprocess\.(stdout|stderr)\b|\bconsole\.(log|info|warn|error|debug)\b/u,
    only: ['packages/core/src/observability/', 'packages/server/src/main.ts', 'packages/server/src/cli/', 'packages/sandbox/'],
    rule: 'only observability and the command line write to the terminal',
  },
  {
    word: /\.reveal\(\)/u,
    only: [
      'packages/core/src/catalog/authorize.ts',
      'packages/core/src/catalog/route.ts',
      'packages/core/src/crypto/',
      'packages/core/src/http/',
      'packages/core/src/jwt/',
      'packages/core/src/keysources/',
      // Credentials of model providers are told apart by what is no secret in them, and go into their calls here.
      'packages/core/src/models/authorize.ts',
      'packages/core/src/models/credential.ts',
      'packages/core/src/oauth/',
      'packages/core/src/oauth1/',
      'packages/core/src/sdk/device-sign-in.ts',
      'packages/core/src/sdk/handing-over.ts',
      'packages/core/src/sdk/signing-in.ts',
      'packages/core/src/stores/',
      'packages/core/src/tokens/',
      'packages/server/src/config.ts',
      'packages/server/src/config/',
      // A prompt that its organization keeps is opened for whoever reads it.
      'packages/server/src/content/read-content.ts',
      'packages/server/src/db/',
      'packages/server/src/events/',
      'packages/server/src/home/key-holders.ts',
      'packages/server/src/home/root-key-file.ts',
      'packages/server/src/http/',
      // An answer that is given again leaves as it left before.
      'packages/server/src/idempotency/once.ts',
      'packages/server/src/identity/',
      'packages/server/src/connect/',
      'packages/server/src/proxy/',
      'packages/server/src/revocation/',
      'packages/server/src/routes/',
      'packages/server/src/vault/',
      'packages/server/src/compose/',
      'packages/server/src/main.ts',
      'packages/server/src/cli/',
    ],
    rule: 'Secret.reveal() is called in the listed places',
  },
  { word: /(?<![.\w])eval\(|\bnew Function\(|\bsql\.raw\(|\bsql\.lit\(/u, only: [], rule: 'no text becomes code or SQL' },
  {
    // In tenant.ts a UUID that was checked there; in migrate.ts names and a verifier, quoted by the driver's own rules.
    word: /\.query(?:<[^(]*>)?\(\s*`[^`]*\$\{/u,
    only: ['packages/server/src/db/tenant.ts', 'packages/server/src/db/migrate.ts'],
    rule: 'values are parameters, never text',
  },
  {
    word: /(?<![.\w])fetch\(/u,
    // Those of core/oauth and core/oauth1 are handed the door's own fetch, under that name.
    only: [
      'packages/client/src/',
      'packages/console/src/',
      'packages/core/src/http/',
      'packages/core/src/oauth/account.ts',
      'packages/core/src/oauth/dpop.ts',
      'packages/core/src/oauth/server-metadata.ts',
      'packages/core/src/oauth/token-call.ts',
      'packages/core/src/oauth/refresh-grant.ts',
      'packages/core/src/oauth1/',
      'packages/core/src/oauth/revoke.ts',
    ],
    rule: 'nothing calls the global fetch',
  },
]

export function wordBreaches(file: string, text: string): Breach[] {
  if (UNGUARDED.some((folder) => file.startsWith(folder))) return []
  const code = text.replaceAll(/\/\*[\s\S]*?\*\//gu, '').replaceAll(/(^|\s)\/\/[^\n]*/gu, '')
  return WORDS.filter(({ word, only }) => word.test(code) && !only.some((path) => file.startsWith(path))).map(({ word, rule }) => ({
    file,
    imports: word.source,
    rule,
  }))
}

export function allBreaches(root: string): Breach[] {
  return sourceFiles(root).flatMap((file) => {
    const text = readFileSync(join(root, file), 'utf8')
    return [...breachesOf(file, text), ...wordBreaches(file, text)]
  })
}
