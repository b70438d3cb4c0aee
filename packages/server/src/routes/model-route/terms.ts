/** Owns what a route may say. Refuses a target at a provider that nobody knows, and a name by which a provider is meant elsewhere. */
import type { z } from 'zod'
import type { schemas } from '@sallyport/contract'
import { hasCode } from '@sallyport/core'
import type { ModelProvider } from '@sallyport/core'
import type { JsonObject } from '../../audit/index.ts'
import type { FallbackCause, ModelRouteTerms, ModelTarget } from '../../db/index.ts'
import { ProblemError } from '../../http/index.ts'
import { presentTarget } from './present.ts'

interface GivenTerms {
  readonly name?: string | undefined
  readonly strategy?: ModelRouteTerms['strategy'] | undefined
  readonly targets?: readonly z.output<typeof schemas.modelTarget>[] | undefined
  readonly fallback_on?: readonly FallbackCause[] | undefined
  readonly deadline_ms?: number | undefined
}

/** `before` with what is given in its place. @throws ProblemError `validation_failed` with every fault. */
export function termsWith(before: ModelRouteTerms, given: GivenTerms, providers: readonly ModelProvider[]): ModelRouteTerms {
  requireKnown(given, providers)
  return {
    name: given.name ?? before.name,
    strategy: given.strategy ?? before.strategy,
    targets: given.targets?.map(targetOf) ?? before.targets,
    fallbackOn: given.fallback_on === undefined ? before.fallbackOn : [...new Set(given.fallback_on)],
    deadlineMs: given.deadline_ms ?? before.deadlineMs,
  }
}

/** For the log. */
export function termsDetail(terms: ModelRouteTerms): JsonObject {
  const { name, strategy, targets, fallbackOn, deadlineMs } = terms
  return { name, strategy, targets: targets.map(presentTarget), fallback_on: [...fallbackOn], deadline_ms: deadlineMs }
}

/** @throws ProblemError `conflict` when the name is taken. */
export async function refusingTakenRouteName<T>(change: Promise<T>): Promise<T> {
  try {
    return await change
  } catch (error) {
    if (!hasCode(error, 'conflict')) throw error
    throw new ProblemError('conflict', 'A route of this environment has that name already.', { cause: error })
  }
}

function targetOf(given: z.output<typeof schemas.modelTarget>): ModelTarget {
  const { provider, model, key_name: keyName, weight, first_byte_timeout_ms: firstByteTimeoutMs } = given
  return { provider, model, keyName, weight, firstByteTimeoutMs }
}

function requireKnown({ name, targets = [] }: GivenTerms, providers: readonly ModelProvider[]): void {
  const known = new Set(providers.map(({ id }) => id))
  const faults = targets.flatMap(({ provider }, at) =>
    known.has(provider) ? [] : [{ pointer: `/body/targets/${at}/provider`, reason: 'is no model provider of the catalog' }],
  )
  if (name !== undefined && known.has(name)) faults.push({ pointer: '/body/name', reason: 'is the id of a model provider' })
  if (faults.length > 0) throw new ProblemError('validation_failed', 'This can be no route of model calls.', { faults })
}
