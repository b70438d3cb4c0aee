import { describe, expect, it } from 'vitest'
import { emailAddress, emailDomain, isDomain } from './email-address.ts'

describe('an e-mail address', () => {
  it.each([
    ['a@corp.test', 'a@corp.test'],
    ['A.b+c@CORP.Test', 'a.b+c@corp.test'],
    ['a@sub.corp.test', 'a@sub.corp.test'],
    ['a@xn--80ak6aa92e.test', 'a@xn--80ak6aa92e.test'],
  ])('J-14 reads %s as one', (text, expected) => expect(emailAddress(text)).toBe(expected))

  it.each([
    '',
    '@corp.test',
    'a@',
    'a@b@corp.test',
    '"x@corp.test"@evil.test',
    'a@corp.test>',
    'A <a@corp.test>',
    'a(comment)@corp.test',
    'a@corp.test ',
    ' a@corp.test',
    'a@corp.test\n',
    'a..b@corp.test',
    '.a@corp.test',
    'a@corp..test',
    'a@-corp.test',
    'a@corp.test.',
    'a@localhost',
    'a@127.0.0.1',
    'a@[127.0.0.1]',
    // A Kelvin sign, a Cyrillic letter, a full-width dot.
    'a@\u212aorp.test',
    'a@с\u043erp.test',
    'a@corp\uff0etest',
    `${'a'.repeat(65)}@corp.test`,
    `a@${'a'.repeat(64)}.test`,
    `a@${'a.'.repeat(130)}test`,
    null,
    7,
    ['a@corp.test'],
  ])('J-14 takes %j for none', (odd) => expect(emailAddress(odd)).toBeUndefined())

  it('J-14 has the whole of what stands behind its sign as its domain', () => {
    expect(emailDomain(emailAddress('a@corp.test.evil')!)).toBe('corp.test.evil')
    expect(emailDomain(emailAddress('a@CORP.TEST')!)).toBe('corp.test')
    expect(emailDomain(emailAddress('a@xn--crp-jua.test')!)).not.toBe('corp.test')
  })

  it('has a domain of labels, none of them empty', () => {
    expect(['corp.test', 'a.b.c', 'xn--p1ai.test', 'test', '', '.test', 'corp.', '*.corp.test', 'corp.1'].map(isDomain)).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
      false,
      false,
      false,
    ])
  })
})
