/** AWS's own client judges the server that judges our signatures: what it signs must be taken, and ours opens what it encrypted. */
import { describe, expect, it } from 'vitest'
import { DecryptCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms'
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import { startAws } from '../../../testkit/src/aws/index.ts'
import { parseWrapped } from '../../src/crypto/index.ts'
import { createEgress, DEFAULT_EGRESS_POLICY } from '../../src/http/index.ts'
import { Secret } from '../../src/kernel/index.ts'
import { awsKmsKey, createAwsClient, parseKmsKeyArn } from '../../src/keysources/index.ts'
import { QUICK } from './quick.ts'

describe("AWS's own client", () => {
  it('works with the test server, and is refused with another secret key', async () => {
    const aws = await startAws()
    const given = { region: aws.region, endpoint: aws.endpoint, maxAttempts: 1 }
    const credentials = { accessKeyId: aws.accessKeyId, secretAccessKey: aws.secretAccessKey }
    const kms = new KMSClient({ ...given, credentials })
    const secrets = new SecretsManagerClient({ ...given, credentials })
    const EncryptionContext = { org: 'an-org' }
    const { CiphertextBlob } = await kms.send(
      new EncryptCommand({ KeyId: aws.createKey(), Plaintext: Buffer.from('plain'), EncryptionContext }),
    )
    const { Plaintext } = await kms.send(new DecryptCommand({ CiphertextBlob, EncryptionContext }))
    expect(Buffer.from(Plaintext!).toString()).toBe('plain')
    await expect(kms.send(new DecryptCommand({ CiphertextBlob, EncryptionContext: {} }))).rejects.toMatchObject({
      name: 'InvalidCiphertextException',
    })
    const { SecretString } = await secrets.send(new GetSecretValueCommand({ SecretId: aws.putSecret('kept') }))
    expect(SecretString).toBe('kept')
    const wrong = new KMSClient({ ...given, credentials: { ...credentials, secretAccessKey: 'another' } })
    await expect(wrong.send(new DecryptCommand({ CiphertextBlob }))).rejects.toMatchObject({ name: 'InvalidSignatureException' })
    for (const client of [kms, secrets, wrong]) client.destroy()
    await aws.close()
  })

  it('opens what our key wrapped, given the same encryption context', async () => {
    const aws = await startAws()
    const egress = createEgress({ ...DEFAULT_EGRESS_POLICY, insecureAllowOrigins: [aws.endpoint] })
    const credentials = { accessKeyId: aws.accessKeyId, secretAccessKey: aws.secretAccessKey }
    const ours = createAwsClient({
      egress,
      service: 'kms',
      region: aws.region,
      endpoint: aws.endpoint,
      credentials: { ...credentials, secretAccessKey: new Secret(aws.secretAccessKey) },
      limits: QUICK,
    })
    const key = awsKmsKey(ours, parseKmsKeyArn(aws.createKey())!)
    const place = { purpose: 'data-key', org: 'an-org', table: 't', column: 'c', record: 'r', seq: 0n }
    const { ciphertext } = parseWrapped(await key.wrap(Buffer.alloc(32, 5), place))
    const kms = new KMSClient({ region: aws.region, endpoint: aws.endpoint, credentials })
    const { Plaintext } = await kms.send(new DecryptCommand({ CiphertextBlob: ciphertext, EncryptionContext: { ...place, seq: '0' } }))
    // The digest of the place stands before the key.
    expect(Buffer.from(Plaintext!).subarray(32)).toEqual(Buffer.alloc(32, 5))
    kms.destroy()
    await egress.close()
    await aws.close()
  })
})
