import { describe, expect, it } from 'vitest'
import { startAws } from '../../../testkit/src/aws/index.ts'
import type { Aws, AwsBehaviour } from '../../../testkit/src/aws/index.ts'
import { keySourceSuite, keyWrapperSuite } from '../../../testkit/src/suites/index.ts'
import { createEgress, DEFAULT_EGRESS_POLICY } from '../../src/http/index.ts'
import type { Egress } from '../../src/http/index.ts'
import { ManualClock, Secret, systemClock } from '../../src/kernel/index.ts'
import type { Clock } from '../../src/kernel/index.ts'
import { awsKmsKey, createAwsClient, parseKmsKeyArn, parseSecretArn, secretsManagerSource } from '../../src/keysources/index.ts'
import type { AwsClient } from '../../src/keysources/index.ts'
import { QUICK } from './quick.ts'

const doorTo = (aws: Aws): Egress => createEgress({ ...DEFAULT_EGRESS_POLICY, insecureAllowOrigins: [aws.endpoint] })

const clientOf = (
  aws: Aws,
  egress: Egress,
  service: 'kms' | 'secretsmanager',
  secret = aws.secretAccessKey,
  clock: Clock = systemClock,
): AwsClient =>
  createAwsClient({
    egress,
    service,
    region: aws.region,
    endpoint: aws.endpoint,
    credentials: { accessKeyId: aws.accessKeyId, secretAccessKey: new Secret(secret) },
    limits: QUICK,
    clock,
  })

const AWAY = ['throttled', 'internal', 'silent', 'reset', 'trickle', 'cut', 'moved'] as const
const HICCUPS = ['throttled', 'internal', 'reset', 'cut', 'slow'] as const
const WRONG = ['denied', 'disabled', 'page', 'flood', 'other_key'] as const
const LIES = ['stale', 'garbage'] as const
const failuresOf = (aws: Aws) =>
  Object.fromEntries(AWAY.map((way) => [way, { fail: () => aws.behave(way), heal: () => aws.behave('lawful') }]))
const waysOf = (aws: Aws, ways: readonly AwsBehaviour[]) => Object.fromEntries(ways.map((way) => [way, () => aws.behave(way)]))

keyWrapperSuite(
  'of AWS KMS',
  async () => {
    const aws = await startAws()
    const egress = doorTo(aws)
    const client = clientOf(aws, egress, 'kms')
    return {
      wrapper: awsKmsKey(client, parseKmsKeyArn(aws.createKey())!),
      other: awsKmsKey(client, parseKmsKeyArn(aws.createKey())!),
      asked: () => aws.calls.length,
      failures: failuresOf(aws),
      hiccups: Object.fromEntries(HICCUPS.map((way) => [way, () => aws.behave(way, 2)])),
      refusals: waysOf(aws, WRONG),
      lies: waysOf(aws, LIES),
      careless: () => aws.behave('careless'),
      close: async () => {
        await egress.close()
        await aws.close()
      },
    }
  },
  { failures: [...AWAY], hiccups: [...HICCUPS], refusals: [...WRONG], lies: [...LIES], careless: true },
)

keySourceSuite(
  'AWS Secrets Manager',
  async () => {
    const aws = await startAws()
    const egress = doorTo(aws)
    const arn = aws.putSecret('not yet')
    return {
      source: secretsManagerSource(clientOf(aws, egress, 'secretsmanager'), parseSecretArn(arn)!, 5),
      publish: (text) => void aws.putSecret(text, arn),
      reads: () => aws.calls.length,
      failures: failuresOf(aws),
      refusals: waysOf(aws, WRONG),
      close: async () => {
        await egress.close()
        await aws.close()
      },
    }
  },
  { failures: [...AWAY], refusals: [...WRONG] },
)

describe('calls to AWS', () => {
  it('are signed with what was configured: another secret key, region or no right to the key is a refusal', async () => {
    const aws = await startAws()
    const egress = doorTo(aws)
    const place = { purpose: 'p', org: 'o', table: 't', column: 'c', record: 'r', seq: 1n }
    const key = parseKmsKeyArn(aws.createKey())!
    const refused = { code: 'key_source_refused' }
    const wrong = awsKmsKey(clientOf(aws, egress, 'kms', 'not-the-secret-key-of-this-one'), key)
    await expect(wrong.wrap(Buffer.alloc(32, 1), place)).rejects.toMatchObject(refused)
    const absent = awsKmsKey(clientOf(aws, egress, 'kms'), parseKmsKeyArn(key.arn.replace(/.{12}$/, 'abcdefabcdef'))!)
    await expect(absent.wrap(Buffer.alloc(32, 1), place)).rejects.toMatchObject(refused)
    expect(aws.calls).toHaveLength(2)
    await egress.close()
    await aws.close()
  })

  it('give KMS the place as encryption context, for its log', async () => {
    const aws = await startAws()
    const egress = doorTo(aws)
    const key = awsKmsKey(clientOf(aws, egress, 'kms'), parseKmsKeyArn(aws.createKey())!)
    await key.wrap(Buffer.alloc(32, 1), { purpose: 'data-key', org: 'an-org', table: 't', column: 'c', record: 'r', seq: 0n })
    await key.wrap(Buffer.alloc(32, 1), { purpose: 'system-secret', org: '', table: 't', column: 'c', record: 'r', seq: 0n })
    // Encrypt, and Decrypt to see that it opens.
    const contexts = [
      { purpose: 'data-key', org: 'an-org', table: 't', column: 'c', record: 'r', seq: '0' },
      { purpose: 'system-secret', table: 't', column: 'c', record: 'r', seq: '0' },
    ]
    expect(aws.inputs.map((input) => input['EncryptionContext'])).toEqual(contexts.flatMap((context) => [context, context]))
    await egress.close()
    await aws.close()
  })

  it('are refused while the clock of this machine is wrong, and say nothing of AWS being away', async () => {
    const aws = await startAws()
    const egress = doorTo(aws)
    const clock = new ManualClock(Date.now() - 20 * 60_000)
    const key = awsKmsKey(clientOf(aws, egress, 'kms', aws.secretAccessKey, clock), parseKmsKeyArn(aws.createKey())!)
    await expect(
      key.wrap(Buffer.alloc(32, 1), { purpose: 'p', org: 'o', table: 't', column: 'c', record: 'r', seq: 1n }),
    ).rejects.toMatchObject({
      code: 'key_source_refused',
      message: 'AWS KMS refused (InvalidSignatureException)',
    })
    clock.step(20 * 60_000)
    await key.wrap(Buffer.alloc(32, 1), { purpose: 'p', org: 'o', table: 't', column: 'c', record: 'r', seq: 1n })
    await egress.close()
    await aws.close()
  })

  it.each([
    ['ThrottlingException', 400, 'key_source_unavailable'],
    ['com.amazonaws.kms#KeyUnavailableException', 500, 'key_source_unavailable'],
    ['RequestLimitExceeded:http://internal.example/', 400, 'key_source_unavailable'],
    ['', 503, 'key_source_unavailable'],
    ['', 429, 'key_source_unavailable'],
    ['KMSInvalidStateException', 400, 'key_source_refused'],
    ['ExpiredTokenException', 400, 'key_source_refused'],
    ['UnrecognizedClientException', 400, 'key_source_refused'],
    ['', 404, 'key_source_refused'],
  ])('that fail with %s and status %d are %s, and pass on nothing that was said', async (type, status, code) => {
    const body = { ...(type === '' ? {} : { __type: type }), message: 'internal-host-7 said so' }
    const egress = { fetch: async () => Response.json(body, { status }) }
    const options = { egress, service: 'kms', region: 'eu-central-1', endpoint: 'https://kms.example', limits: QUICK } as const
    const client = createAwsClient({ ...options, credentials: { accessKeyId: 'NOTREAL', secretAccessKey: new Secret('not-a-secret') } })
    const key = awsKmsKey(client, parseKmsKeyArn('arn:aws:kms:eu-central-1:111122223333:key/00000000-0000-0000-0000-000000000000')!)
    const place = { purpose: 'p', org: 'o', table: 't', column: 'c', record: 'r', seq: 1n }
    const error: unknown = await key.wrap(Buffer.alloc(32, 1), place).catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code })
    expect(String(error)).not.toMatch(/internal/)
  })

  it('go nowhere but where the egress allows', async () => {
    const aws = await startAws()
    const egress = createEgress(DEFAULT_EGRESS_POLICY)
    const source = secretsManagerSource(clientOf(aws, egress, 'secretsmanager'), parseSecretArn(aws.putSecret('x'))!, 5)
    await expect(source.load()).rejects.toMatchObject({ code: 'key_source_refused' })
    expect(aws.calls).toEqual([])
    await egress.close()
    await aws.close()
  })

  it.each([
    'alias/root',
    'arn:aws:kms:eu-central-1:111122223333:alias/root',
    'arn:aws:kms:eu-central-1:111122223333:key/',
    'arn:aws:kms:eu-central-1.evil.example:111122223333:key/00000000-0000-0000-0000-000000000000',
    'arn:other:kms:eu-central-1:111122223333:key/00000000-0000-0000-0000-000000000000',
    '00000000-0000-0000-0000-000000000000',
  ])('are made for no key called %s', (text) => {
    expect(parseKmsKeyArn(text)).toBeUndefined()
  })
})
