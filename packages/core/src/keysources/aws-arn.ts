/** Owns the names of AWS keys and secrets. Refuses aliases and short names: an alias can be turned to another key while nobody looks. */
const KEY = /^arn:(?<partition>aws|aws-cn|aws-us-gov):kms:(?<region>[a-z]{2}(?:-[a-z]+)+-\d):\d{12}:key\/(?<id>(?:mrk-)?[0-9a-f-]{32,36})$/
const SECRET =
  /^arn:(?<partition>aws|aws-cn|aws-us-gov):secretsmanager:(?<region>[a-z]{2}(?:-[a-z]+)+-\d):\d{12}:secret:(?<id>[\w/+=.@-]{1,512})$/

/** A name of a resource, in the parts that a call needs. */
export interface AwsArn {
  /** The whole of it. */
  readonly arn: string
  readonly region: string
  /** Without the service's host: `amazonaws.com`. */
  readonly domain: string
  /** The key's own id, or the secret's name with its suffix. */
  readonly id: string
}

/** `arn:aws:kms:<region>:<account>:key/<id>`; undefined for anything else, aliases too. */
export function parseKmsKeyArn(arn: string): AwsArn | undefined {
  return parsed(KEY, arn)
}

/** `arn:aws:secretsmanager:<region>:<account>:secret:<name>-<suffix>`; undefined for anything else. */
export function parseSecretArn(arn: string): AwsArn | undefined {
  return parsed(SECRET, arn)
}

function parsed(form: RegExp, arn: string): AwsArn | undefined {
  const { partition, region, id } = form.exec(arn)?.groups ?? {}
  if (region === undefined || id === undefined) return undefined
  return { arn, region, id, domain: partition === 'aws-cn' ? 'amazonaws.com.cn' : 'amazonaws.com' }
}
