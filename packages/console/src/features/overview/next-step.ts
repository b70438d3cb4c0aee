/** Owns the way from an empty environment to the first call. */

export interface Standing {
  readonly integrations: number
  /** Active ones. */
  readonly connections: number
  /** Not revoked. */
  readonly keys: number
  readonly requests: number
}

export interface Step {
  readonly title: string
  readonly about: string
  readonly action: string
  readonly to: '/$org/$project/$environment/integrations' | '/$org/$project/$environment/connections' | '/$org/$project/$environment/keys'
}

/** What is to be done next; undefined once calls go out. */
export function nextStep({ integrations, connections, keys, requests }: Standing): Step | undefined {
  if (integrations === 0) {
    return {
      title: 'Begin with an integration',
      about: 'Register an OAuth application at a provider and add its client here. Accounts are connected through it.',
      action: 'Add an integration',
      to: '/$org/$project/$environment/integrations',
    }
  }
  if (connections === 0) {
    return {
      title: 'Connect the first account',
      about: 'Go through the hosted page once, as one of your users would.',
      action: 'Connect an account',
      to: '/$org/$project/$environment/connections',
    }
  }
  if (requests > 0) return undefined
  return {
    title: keys === 0 ? 'Create a key' : 'Make the first call',
    about:
      keys === 0
        ? 'Your application sends it in place of the provider’s own key.'
        : 'A new key comes with a curl line that works as pasted.',
    action: keys === 0 ? 'Create a key' : 'To the keys',
    to: '/$org/$project/$environment/keys',
  }
}
