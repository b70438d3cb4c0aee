/** Owns the matrix of connectors and behaviours: made by running each, printed as a document. */
import { BEHAVIOURS, REDIRECT_URI, startStage } from './behaviours.ts'
import type { Behaviour } from './behaviours.ts'
import { NOT_KEPT_TO } from '../cache-cases/judgement.ts'
import { DOUBLES } from './doubles.ts'
import { WRONG_INPUTS } from './wrong-input.ts'
import { startDouble } from './provider.ts'

export const CONNECTORS_TRIED: readonly string[] = [...Object.keys(DOUBLES), 'feed']

/** What a caller saw, by behaviour and connector. */
export type Matrix = ReadonlyMap<string, ReadonlyMap<string, string>>

export function expectedOf({ expected, except = {} }: Behaviour, connector: string): string {
  return except[connector] ?? expected
}

export function appliesTo(behaviour: Behaviour, connector: string): boolean {
  return behaviour.of === 'all' || connector !== 'feed'
}

/** What the caller saw. The double and the SDK are begun anew for each. */
export async function tryOut(behaviour: Behaviour, connector: string): Promise<string> {
  const provider = await startDouble(connector, REDIRECT_URI)
  const stage = await startStage(connector, provider)
  try {
    return await behaviour.run(stage)
  } finally {
    await stage.sallyport.close({ timeoutMs: 5_000 })
    await provider.close()
  }
}

export function conformanceDocument(matrix: Matrix): string {
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const rows = BEHAVIOURS.map(({ name }) => row([name, ...CONNECTORS_TRIED.map((connector) => matrix.get(name)?.get(connector) ?? '–')]))
  return `# Conformance

What a caller of the SDK sees when a provider misbehaves, connector by connector. The tests make this page: each cell was run, and a cell that comes
out differently fails them. Codes are those of [errors](errors.md) and of the SDK; a number after one is the provider's status.

Every provider here is a double on loopback that answers in the form of its published reference. GitHub, Google and Slack are also read from
emulators that others wrote, Reddit and X from fakes that check clients, scopes, agents and signatures as their references say, and token endpoints
are those of \`oidc-provider\` and emulated Microsoft, Okta and Linear in further tests.

${row(['what the provider does', ...CONNECTORS_TRIED])}
${row(['---', ...CONNECTORS_TRIED.map(() => '---')])}
${rows.join('\n')}

\`refresh_pending\`, \`refresh_outcome_unknown\` and \`provider_unavailable\` end nothing: the token that lives is used until it dies, and renewing goes on by itself. A refresh token is
never shown twice meanwhile where the provider may have taken it ([refresh](refresh.md)). Slack's lists are read by POST, which is
repeated all the same: its connector says that they only read.

## Wrong input

What has bitten users of libraries of this kind, and the test that holds it off.

${row(['what', 'test'])}
${row(['---', '---'])}
${WRONG_INPUTS.map(({ what, file, test }) => row([what, `${test} (\`${file}\`)`])).join('\n')}

## The cache of answers

The cache is private: one for each connection and grant. It is run against the cases of [http-cache-tests](https://cache-tests.fyi/) over real HTTP.
It keeps to every required one but these:

| case | why not |
| --- | --- |
${Object.entries(NOT_KEPT_TO)
  .map(([id, why]) => row([`\`${id}\``, why]))
  .join('\n')}
`
}
