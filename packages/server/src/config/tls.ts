/** Owns the settings of TLS that the gateway ends itself, and what must be true of them. Refuses half a pair, and a public address without https. */
import { z } from 'zod'
import type { ConfigFault } from './config-error.ts'
import { oneOf, setting, textWithout } from './setting.ts'

const clientCertificates = oneOf(['required', 'optional'])

const path = (about: string, otherwise: string) =>
  setting(textWithout((text) => (text.includes('\0') ? 'must be a path' : undefined)).optional(), {
    kind: 'text',
    expects: 'a path',
    otherwise,
    about,
  })

export const tls = z.strictObject({
  certFile: path(
    'File of the certificate that the gateway proves its name with, in PEM, with the certificates between it and its authority after it. With it the gateway ends TLS itself (1.2 and 1.3) and no proxy is needed. Read again when it changes, without an end to any connection.',
    'not set: a proxy in front ends TLS',
  ),
  keyFile: path('File of the private key that belongs to it, in PEM and without a passphrase. Needs `tls.certFile`.', 'not set'),
  clientCaFile: path(
    'File of the authorities, in PEM, whose certificates clients show. With it clients are asked for one; keys can be bound to theirs. Needs `tls.certFile`.',
    'not set: clients are asked for no certificate',
  ),
  clientCertificates: setting(clientCertificates.schema.default('required'), {
    kind: 'text',
    expects: clientCertificates.expects,
    about:
      'Whether a client without a certificate of `tls.clientCaFile` is turned away before it can say anything (`required`, health checks too), or one without any is let in (`optional`). One that nobody known has signed is turned away in both.',
  }),
})

interface Judged {
  readonly publicUrl?: string | undefined
  readonly tls: Partial<z.output<typeof tls>>
  readonly refused: ReadonlySet<string>
}

export function tlsFaults({ publicUrl, tls: { certFile, keyFile, clientCaFile }, refused }: Judged): ConfigFault[] {
  const fault = (setting: string, reason: string): ConfigFault => ({ setting, reason })
  const missing = (name: string, value: unknown): boolean => value === undefined && !refused.has(name)
  return [
    ...(certFile !== undefined && missing('tls.keyFile', keyFile) ? [fault('tls.keyFile', 'is missing: a certificate needs its key')] : []),
    ...(keyFile !== undefined && missing('tls.certFile', certFile)
      ? [fault('tls.certFile', 'is missing: a key needs its certificate')]
      : []),
    ...(clientCaFile !== undefined && keyFile === undefined && missing('tls.certFile', certFile)
      ? [fault('tls.clientCaFile', 'needs tls.certFile: without TLS nobody shows a certificate')]
      : []),
    ...(certFile !== undefined && publicUrl?.startsWith('http:') ? [fault('publicUrl', 'must be https where the gateway ends TLS')] : []),
  ]
}
