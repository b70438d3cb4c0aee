import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createPriceBook } from '@sallyport/core'
import { ConfigError } from '../config.ts'
import { booksAt } from './metering.ts'

let folder: string
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'sallyport-prices-'))))
afterAll(() => rmSync(folder, { recursive: true }))

function fileWith(text: string): string {
  const path = join(folder, 'prices.json')
  writeFileSync(path, text)
  return path
}

function refusal(path: string): string {
  try {
    booksAt(path)
  } catch (error) {
    if (error instanceof ConfigError) return error.message
  }
  throw new Error('was not refused')
}

const MILLION = { cached: 0, written: 0, writtenLong: 0, input: 1_000_000, output: 0 }

describe('a price book of the operator', () => {
  it('stands for what the gateway knows of a model, and leaves the rest', () => {
    const text = { currency: 'USD', prices: [{ provider: 'openai', model: 'gpt-4.1', input: '7', output: '9' }] }
    const prices = createPriceBook(booksAt(fileWith(JSON.stringify(text))))
    const of = (model: string) => prices.cost({ provider: 'openai', model, tier: undefined }, MILLION)
    expect([of('gpt-4.1'), of('gpt-4.1-mini')]).toEqual([
      7e9,
      createPriceBook(booksAt(undefined)).cost({ provider: 'openai', model: 'gpt-4.1-mini', tier: undefined }, MILLION),
    ])
  })

  it('is refused with the setting, the place and the reason', () => {
    expect(refusal(join(folder, 'absent.json'))).toContain('usage.prices names a file that can not be read')
    expect(refusal(fileWith('{\n  "currency": "USD",\n  "prices": [,]\n}'))).toContain('neither JSON nor YAML, from line 3 on')
    const said = refusal(
      fileWith(
        '{"currency": "EUR", "prices": [\n  {"provider": "openai", "model": "m", "input": 2},\n  {"provider": "openai", "model": "n"}\n]}',
      ),
    )
    for (const part of ['line 1: currency', 'line 2: prices/0/input', 'line 3: prices/1/input']) expect(said).toContain(part)
    expect(refusal(fileWith('currency: &a USD\nprices: []\nheld: *a\n'))).toContain('aliases')
  })
})
