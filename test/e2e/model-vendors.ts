/**
 * Owns the stage of the vendors' own clients: a whole gateway before the vendors of models that judge, each under its id in the catalog, with a kept key of each.
 */
import { createKey, signInOwner, startGatewayProcess, startModelUpstream, VENDORS } from '@sallyport/testkit'
import type {
  GatewayProcess,
  GatewaySettings,
  ModelAddress,
  ModelUpstream,
  ModelUpstreamOptions,
  Owner,
  VendorName,
} from '@sallyport/testkit'
import { keepKey } from './model-stage.ts'

export interface VendorStage {
  readonly gateway: GatewayProcess
  readonly upstream: ModelUpstream
  readonly owner: Owner
  /** A gateway key with `llm:call` and nothing else. */
  readonly key: string
  /** Where a vendor's client is pointed. */
  readonly addressOf: (vendor: string) => ModelAddress
  close(): Promise<void>
}

/** `declared`: further providers, as an operator writes them. */
export async function setVendorStage(
  settings: GatewaySettings = {},
  vendors: ModelUpstreamOptions = {},
  declared: readonly { readonly id: string; readonly base: string; readonly [more: string]: unknown }[] = [],
): Promise<VendorStage> {
  const upstream = await startModelUpstream(vendors)
  const gateway = await startGatewayProcess({
    ...settings,
    file: {
      egress: { insecureAllowOrigins: [upstream.origin, ...declared.map(({ base }) => new URL(base).origin)] },
      // What a vendor does on bad days is asked for often here; the circuit has tests of its own.
      breaker: { failures: 1_000_000 },
      models: { providers: [...VENDORS.map((id) => declaredFor(id, upstream)), ...declared] },
      ...settings.file,
    },
  })
  const owner = await signInOwner(gateway)
  for (const vendor of VENDORS) await keepKey(owner, keptFor(vendor, upstream))
  const key = await createKey(owner, ['llm:call'])
  const [chat, embedding] = [upstream.models.chat[0]!, upstream.models.embedding[0]!]
  return {
    gateway,
    upstream,
    owner,
    key,
    addressOf: (vendor) => ({ base: `${gateway.url}/llm/${vendor}`, key, chat, embedding }),
    async close() {
      await gateway.stop()
      await upstream.close()
    },
  }
}

function declaredFor(id: VendorName, upstream: ModelUpstream): object {
  const { tokenEndpoint } = upstream.serviceAccount
  return { id, base: upstream.base(id), ...(id === 'vertex' && { tokenEndpoint }) }
}

function keptFor(provider: VendorName, { aws, key, serviceAccount }: ModelUpstream): Parameters<typeof keepKey>[1] {
  if (provider === 'azure-openai') return { provider, secret: key, settings: { resource: 'sandbox' } }
  if (provider === 'vertex') return { provider, secret: serviceAccount.file(), settings: { location: 'us-central1' } }
  if (provider !== 'bedrock') return { provider, secret: key }
  const secret = JSON.stringify({ access_key_id: aws.accessKeyId, secret_access_key: aws.secretAccessKey })
  return { provider, secret, settings: { region: 'us-east-1' } }
}
