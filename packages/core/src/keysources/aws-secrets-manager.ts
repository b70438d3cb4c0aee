/** Owns root keys that are text in AWS Secrets Manager: the current version of one secret. Refuses binary secrets. */
import * as z from 'zod'
import { KeySourceError } from '../crypto/index.ts'
import { Secret } from '../kernel/index.ts'
import type { AwsArn } from './aws-arn.ts'
import type { AwsClient } from './aws-client.ts'
import { sourceOf } from './source.ts'
import type { RootKeySource } from './source.ts'

const answer = z.object({ ARN: z.string(), SecretString: z.string().min(1) })

/** `client` is one of Secrets Manager in the secret's region. */
export function secretsManagerSource(client: AwsClient, secret: AwsArn, everyMs: number): RootKeySource {
  return sourceOf('AWS Secrets Manager', everyMs, async () => {
    const { ARN, SecretString } = await client.call('secretsmanager.GetSecretValue', { SecretId: secret.arn }, answer)
    if (ARN !== secret.arn) throw new KeySourceError('key_source_refused', 'AWS Secrets Manager answered with another secret')
    return new Secret(SecretString.trim())
  })
}
