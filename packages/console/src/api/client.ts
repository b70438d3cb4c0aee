/** The one client of the console: the gateway that served it, by its session cookie. Refuses any other host. */
import { createClient } from '@sallyport/client'

export const api = createClient({ baseUrl: window.location.origin })
