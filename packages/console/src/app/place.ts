/** Owns where the reader is: the tenant of the address, and the last one for the next visit. */
import { getRouteApi } from '@tanstack/react-router'
import { ENVIRONMENTS } from '@sallyport/contract'
import type { Environment } from '@sallyport/contract'
import type { Place } from '../api/queries.ts'

const REMEMBERED = 'sallyport.place'

const placeRoute = getRouteApi('/$org/$project/$environment')

/** The tenant of the current address. Only inside the screens of one. */
export function usePlace(): Place {
  const { org, project, environment } = placeRoute.useParams()
  return { org, project, environment }
}

export function readEnvironment(text: string): Environment | undefined {
  return ENVIRONMENTS.find((environment) => environment === text)
}

export function rememberPlace(place: Place): void {
  localStorage.setItem(REMEMBERED, JSON.stringify(place))
}

/** Where the last visit ended, when that can still be read. It may be gone, or another person's: the caller checks. */
export function rememberedPlace(): Partial<Place> {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(REMEMBERED) ?? '{}')
    return typeof found === 'object' && found !== null ? found : {}
  } catch (error) {
    if (error instanceof SyntaxError) return {}
    throw error
  }
}
