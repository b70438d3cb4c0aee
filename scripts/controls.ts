/**
 * Owns the threat model's registry: reads threat-model/controls.yaml, holds every claim to evidence that exists, and prints each control
 * as proven, partial or unproven with the reason. Refuses a state written by hand, a test that does not exist or did not run, and a
 * document or file that is not there.
 *
 *   npm run controls               every control and a summary
 *   npm run controls -- --json     the same as JSON
 *   npm run controls -- --check    only what is wrong with the registry; exit 1 when anything is
 *
 * Evidence of the kind `tests` is read from reports/vitest.json, which `npm test` writes.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'

const root = join(import.meta.dirname, '..')

const claim = z.strictObject({
  claim: z.string().min(8),
  /** Full names of tests as the runner prints them; a name ending in ` *` stands for all that begin so, at least one. */
  tests: z.array(z.string().min(8)).min(1).optional(),
  /** Documents that carry the claim; for what only people can do. */
  documents: z.array(z.string()).min(1).optional(),
  /** Why nothing proves it yet, in words. Exactly one of the three stands in a claim. */
  missing: z.string().min(8).optional(),
})

const control = z.strictObject({
  id: z.string().regex(/^[SN]\d{1,3}$/u),
  statement: z.string().min(3),
  seeds: z.string().optional(),
  enforced: z.array(z.string()),
  claims: z.array(claim).min(1),
})

export type Control = z.infer<typeof control>
export type Claim = z.infer<typeof claim>

export interface Report {
  /** Names that ran and passed, as `file > suite > test`, and without the file. */
  readonly passed: ReadonlySet<string>
  readonly notPassed: ReadonlySet<string>
}

export interface Judged {
  readonly id: string
  readonly statement: string
  readonly state: 'proven' | 'partial' | 'unproven'
  readonly proven: readonly string[]
  readonly open: readonly { readonly claim: string; readonly why: string }[]
}

/** Ids that the mission fixes: S1-S137 and N1-N17. */
export const EXPECTED_IDS: readonly string[] = [
  ...Array.from({ length: 137 }, (_, i) => `S${i + 1}`),
  ...Array.from({ length: 17 }, (_, i) => `N${i + 1}`),
]

/** Parses the registry. @throws with every fault of its form. */
export function parseRegistry(text: string): Control[] {
  const { controls } = z.strictObject({ controls: z.array(control) }).parse(parse(text))
  const faults = EXPECTED_IDS.filter((id) => controls.filter((c) => c.id === id).length !== 1)
    .map((id) => `${id} must stand exactly once`)
    .concat(controls.filter((c) => !EXPECTED_IDS.includes(c.id)).map((c) => `${c.id} is no control of the mission`))
    .concat(
      controls.flatMap((c) =>
        c.claims.filter((k) => kinds(k) !== 1).map((k) => `${c.id} "${k.claim}" needs one of tests, documents, missing`),
      ),
    )
  if (faults.length > 0) throw new Error(`threat-model/controls.yaml:\n  ${faults.join('\n  ')}`)
  return controls
}

const kinds = (k: Claim): number => [k.tests, k.documents, k.missing].filter((kind) => kind !== undefined).length

/** Reads vitest's JSON report. A test counts as passed when it passed wherever it ran. */
export function readReport(json: string): Report {
  const shape = z.object({
    testResults: z.array(
      z.object({ assertionResults: z.array(z.object({ ancestorTitles: z.array(z.string()), title: z.string(), status: z.string() })) }),
    ),
  })
  const outcomes = shape.parse(JSON.parse(json)).testResults.flatMap((file) => file.assertionResults)
  const name = (test: (typeof outcomes)[number]): string => [...test.ancestorTitles, test.title].join(' > ')
  const notPassed = new Set(outcomes.filter((test) => test.status !== 'passed').map(name))
  return { passed: new Set(outcomes.map(name).filter((it) => !notPassed.has(it))), notPassed }
}

/** The state of a control, computed from its claims. Never written by hand. */
export function judge(control: Control, report: Report, exists: (path: string) => boolean): Judged {
  const open = control.claims.flatMap((k) => {
    const why = whyOpen(k, report, exists)
    return why === undefined ? [] : [{ claim: k.claim, why }]
  })
  const proven = control.claims.map((k) => k.claim).filter((text) => !open.some((o) => o.claim === text))
  const state = open.length === 0 ? 'proven' : proven.length === 0 ? 'unproven' : 'partial'
  return { id: control.id, statement: control.statement, state, proven, open }
}

function whyOpen(k: Claim, report: Report, exists: (path: string) => boolean): string | undefined {
  if (k.missing !== undefined) return k.missing
  const absent = (k.documents ?? []).filter((path) => !exists(path))
  if (absent.length > 0) return `no such document: ${absent.join(', ')}`
  const faulty = (k.tests ?? []).flatMap((name) => testFault(name, report))
  return faulty.length === 0 ? undefined : faulty.join('; ')
}

function testFault(name: string, report: Report): string[] {
  if (!name.endsWith(' *')) {
    if (report.passed.has(name)) return []
    return [report.notPassed.has(name) ? `did not pass: ${name}` : `no such test ran: ${name}`]
  }
  const prefix = name.slice(0, -1)
  const failed = [...report.notPassed].filter((it) => it.startsWith(prefix))
  if (failed.length > 0) return [`did not pass: ${failed[0]}`]
  return [...report.passed].some((it) => it.startsWith(prefix)) ? [] : [`no such test ran: ${name}`]
}

/** What makes the registry itself untrue: evidence named but absent, files named but absent. An open claim with a reason is no fault. */
export function registryFaults(controls: readonly Control[], report: Report, exists: (path: string) => boolean): string[] {
  return controls.flatMap((c) => [
    ...c.enforced.filter((path) => !exists(path)).map((path) => `${c.id}: enforced in ${path}, which is not there`),
    ...c.claims
      .filter((k) => k.missing === undefined)
      .flatMap((k) => whyOpen(k, report, exists) ?? [])
      .map((why) => `${c.id}: ${why}`),
  ])
}

function main(args: readonly string[]): number {
  const reportPath = join(root, 'reports/vitest.json')
  if (!existsSync(reportPath)) {
    process.stderr.write('There is no test report to judge by. Run npm test first; it writes reports/vitest.json.\n')
    return 2
  }
  const exists = (path: string): boolean => existsSync(join(root, path))
  const controls = parseRegistry(readFileSync(join(root, 'threat-model/controls.yaml'), 'utf8'))
  const report = readReport(readFileSync(reportPath, 'utf8'))
  if (args.includes('--check')) {
    const faults = registryFaults(controls, report, exists)
    for (const fault of faults) process.stdout.write(`${fault}\n`)
    return faults.length === 0 ? 0 : 1
  }
  const judged = controls.map((c) => judge(c, report, exists))
  process.stdout.write(args.includes('--json') ? `${JSON.stringify(judged, undefined, 2)}\n` : print(judged))
  return 0
}

function print(judged: readonly Judged[]): string {
  const line = (j: Judged): string =>
    [`${j.id.padEnd(5)}${j.state.padEnd(10)}${j.statement}`, ...j.open.map((o) => `${' '.repeat(15)}open: ${o.claim} (${o.why})`)].join(
      '\n',
    )
  const count = (state: Judged['state']): number => judged.filter((j) => j.state === state).length
  return `${judged.map(line).join('\n')}\n\n${count('proven')} proven, ${count('partial')} partial, ${count('unproven')} unproven of ${judged.length}\n`
}

if (import.meta.main) process.exitCode = main(process.argv.slice(2))
