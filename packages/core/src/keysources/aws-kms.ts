/**
 * Owns root keys that AWS KMS holds: Encrypt and Decrypt with the place as encryption context, which KMS authenticates and writes to CloudTrail
 * (ids only). Refuses answers that another key gave.
 */
import * as z from 'zod'
import { KeySourceError } from '../crypto/index.ts'
import type { KeyWrapper, SealPlace } from '../crypto/index.ts'
import type { AwsArn } from './aws-arn.ts'
import type { AwsClient } from './aws-client.ts'
import { rootKeyOf } from './key-service.ts'

const encrypted = z.object({ KeyId: z.string(), CiphertextBlob: z.base64().min(1) })
const decrypted = z.object({ KeyId: z.string(), Plaintext: z.base64().min(1) })

/** The root key's id: names no account and no region. */
export function awsKmsKeyId({ id }: AwsArn): string {
  return `aws-kms.${id}`
}

/** The symmetric key `key` as a root key. `client` is one of KMS in the key's region. */
export function awsKmsKey(client: AwsClient, key: AwsArn): KeyWrapper {
  return rootKeyOf({
    id: awsKmsKeyId(key),
    async encrypt(plaintext, place) {
      const input = { KeyId: key.arn, Plaintext: Buffer.from(plaintext).toString('base64'), EncryptionContext: contextOf(place) }
      const answer = await client.call('TrentService.Encrypt', input, encrypted)
      requireKey(answer.KeyId, key)
      return Buffer.from(answer.CiphertextBlob, 'base64')
    },
    async decrypt(ciphertext, place) {
      const input = { KeyId: key.arn, CiphertextBlob: Buffer.from(ciphertext).toString('base64'), EncryptionContext: contextOf(place) }
      const answer = await client.call('TrentService.Decrypt', input, decrypted)
      requireKey(answer.KeyId, key)
      return Buffer.from(answer.Plaintext, 'base64')
    },
  })
}

/** An empty organization is left out, which by names is as good as empty. */
function contextOf({ purpose, org, table, column, record, seq }: SealPlace): Record<string, string> {
  return { purpose, ...(org === '' ? {} : { org }), table, column, record, seq: seq.toString() }
}

function requireKey(answered: string, key: AwsArn): void {
  if (answered !== key.arn) throw new KeySourceError('key_source_refused', 'AWS KMS answered with another key')
}
