/** Owns the way from an empty environment to the first call. */

export interface Standing {
  readonly integrations: number
  /** Active ones. */
  readonly connections: number
  /** Providers of models that a key is kept for, here or by the organization. */
  readonly modelProviders: number
  /** Not revoked. */
  readonly keys: number
  readonly requests: number
}

export interface Step {
  readonly title: string
  readonly about: string
  readonly action: string
  readonly to: `/$org/$project/$environment/${'integrations' | 'connections' | 'models' | 'keys'}`
}

const INTEGRATION: Step = {
  title: 'Begin with an integration',
  about: 'Register an OAuth application at a provider and add its client here. Accounts are connected through it.',
  action: 'Add an integration',
  to: '/$org/$project/$environment/integrations',
}
const MODELS: Step = {
  title: 'Or begin with models',
  about: 'Keep the key of OpenAI, Anthropic or another provider. Your application calls its models with a Sallyport key, within budgets.',
  action: 'Keep a provider’s key',
  to: '/$org/$project/$environment/models',
}

/** What is to be done next, one thing or a choice of two; nothing once calls go out. */
export function nextSteps({ integrations, connections, modelProviders, keys, requests }: Standing): readonly Step[] {
  if (integrations === 0 && modelProviders === 0) return [INTEGRATION, MODELS]
  if (integrations > 0 && connections === 0 && modelProviders === 0) {
    return [
      {
        title: 'Connect the first account',
        about: 'Go through the hosted page once, as one of your users would.',
        action: 'Connect an account',
        to: '/$org/$project/$environment/connections',
      },
    ]
  }
  if (requests > 0) return []
  return [
    {
      title: keys === 0 ? 'Create a key' : 'Make the first call',
      about:
        keys === 0
          ? 'Your application sends it in place of the provider’s own key.'
          : 'A new key comes with a curl line that works as pasted.',
      action: keys === 0 ? 'Create a key' : 'To the keys',
      to: '/$org/$project/$environment/keys',
    },
  ]
}
