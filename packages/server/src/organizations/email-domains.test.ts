import { expect, it } from 'vitest'
import { takesEmail } from './email-domains.ts'

it('takes a domain whole: no suffix, no subdomain, and nobody without an address; with no domains, everybody', () => {
  expect(takesEmail([], null)).toBe(true)
  expect(takesEmail(['example.com'], 'a@example.com')).toBe(true)
  for (const other of ['a@notexample.com', 'a@sub.example.com', 'a@example.com.evil.test', null]) {
    expect(takesEmail(['example.com'], other)).toBe(false)
  }
})
