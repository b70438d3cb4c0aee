import { describe, expect, it } from 'vitest'
import { startAws } from '../../../testkit/src/aws/index.ts'
import type { Aws, AwsBehaviour } from '../../../testkit/src/aws/index.ts'
import { keySourceSuite, keyWrapperSuite } from '../../../testkit/src/suites/index.ts'
import { createEgress, DEFAULT_EGRESS_POLICY } from '../../src/http/index.ts'
import type { Egress } from '../../src/http/index.ts'
import { Secret } from '../../src/kernel/index.ts'
import { awsKmsKey, createAwsClient, parseKmsKeyArn, parseSecretArn, secretsManagerSource } from '../../src/keysources/index.ts'
import type { AwsClient } from '../../src/keysources/index.ts'
import { QUICK } from './quick.ts'

const doorTo = (aws: Aws): Egress => createEgress({ ...DEFAULT_EGRESS_POLICY, insecureAllowOrigins: [aws.endpoint] })

const clientOf = (aws: Aws, egress: Egress, service: 'kms' | 'secretsmanager', secret = aws.secretAccessKey): AwsClient =>
  createAwsClient({
    egress,
    service,
    region: aws.region,
    endpoint: aws.endpoint,
    credentials: { accessKeyId: aws.accessKeyId, secretAccessKey: new Secret(secret) },
    limits: QUICK,
  })

const AWAY = ['throttled', 'internal', 'silent', 'reset'] as const
const WRONG = ['denied', 'page', 'other_key'] as const
const failuresOf = (aws: Aws) =>
  Object.fromEntries(AWAY.map((way) => [way, { fail: () => aws.behave(way), heal: () => aws.behave('lawful') }]))
const refusalsOf = (aws: Aws, ways: readonly AwsBehaviour[]) => Object.fromEntries(ways.map((way) => [way, () => aws.behave(way)]))

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
      hiccups: Object.fromEntries((['throttled', 'internal', 'reset'] as const).map((way) => [way, () => aws.behave(way, 2)])),
      refusals: refusalsOf(aws, WRONG),
      careless: () => aws.behave('careless'),
      close: async () => {
        await egress.close()
        await aws.close()
      },
    }
  },
  { failures: [...AWAY], hiccups: ['throttled', 'internal', 'reset'], refusals: [...WRONG], careless: true },
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
      refusals: refusalsOf(aws, WRONG),
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
    expect(aws.inputs.map((input) => input['EncryptionContext'])).toEqual([
      { purpose: 'data-key', org: 'an-org', table: 't', column: 'c', record: 'r', seq: '0' },
      { purpose: 'system-secret', table: 't', column: 'c', record: 'r', seq: '0' },
    ])
    await egress.close()
    await aws.close()
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
