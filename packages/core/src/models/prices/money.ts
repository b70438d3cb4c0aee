/** Owns money as text: US dollars with at most nine places, as much as a nano-dollar is. Refuses what is no such number. */

const NANO_PER_DOLLAR = 1_000_000_000n
const PLACES = 9
const USD = /^(?<whole>\d{1,7})(?:\.(?<places>\d{1,9}))?$/u

/** `"12.5"`; no zeros at the end. */
export function usdOf(nano: number | bigint): string {
  const all = BigInt(nano)
  const [sign, rest] = all < 0n ? ['-', -all] : ['', all]
  const places = String(rest % NANO_PER_DOLLAR)
    .padStart(PLACES, '0')
    .replace(/0+$/u, '')
  return `${sign}${rest / NANO_PER_DOLLAR}${places === '' ? '' : `.${places}`}`
}

/** Nano-dollars, or undefined for what is no amount. */
export function nanoOf(usd: string): number | undefined {
  const { whole, places = '' } = USD.exec(usd)?.groups ?? {}
  return whole === undefined ? undefined : Number(BigInt(whole) * NANO_PER_DOLLAR + BigInt(places.padEnd(PLACES, '0')))
}
