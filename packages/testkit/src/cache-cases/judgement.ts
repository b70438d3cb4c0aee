/** Owns which of http-cache-tests' cases our cache does not keep to, and why. Refuses a case without a reason, and a reason without a case. */

const SHARED = 'Asks for a shared cache. This one belongs to one connection.'
const CONDITION = "A caller's own condition or range goes to the provider, which judges it."
const COOKIE = 'An answer that sets a cookie is not kept at all.'

/** Required ones, by id. */
export const NOT_KEPT_TO: Readonly<Record<string, string>> = {
  'freshness-s-maxage-shared': SHARED,
  'freshness-max-age-s-maxage-shared-longer': SHARED,
  'freshness-max-age-s-maxage-shared-longer-reversed': SHARED,
  'freshness-max-age-s-maxage-shared-longer-multiple': SHARED,
  'cc-resp-private-shared': SHARED,
  'age-parse-prefix':
    'An Age that is a list is as old as can be: the provider is asked once more. A list in two lines, which is the same, is to be so by another case.',
  'conditional-304-etag': CONDITION,
  'conditional-etag-precedence': CONDITION,
  'partial-use-headers': CONDITION,
  'headers-store-Set-Cookie': COOKIE,
  '304-etag-update-response-Set-Cookie': COOKIE,
  '304-etag-update-response-Content-Type':
    'The type is that of the body that was kept. A 304 has none, and often the type of an error page.',
  '304-etag-update-response-ETag': 'A 304 with another tag confirms nothing (RFC 9111 section 4.3.4): the answer is asked for anew.',
}
