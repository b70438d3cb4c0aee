/** One refresh token handed to two gateways at once, in front of an issuer that ends a grant when a spent token is shown. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { problemSchema } from '@sallyport/contract'
import { clientSecretOf } from '@sallyport/testkit'
import type { IssuedGrant } from '@sallyport/testkit'
import { digest, RefreshStage, TURNING } from './refresh-stage.ts'
import type { Imported } from './refresh-stage.ts'

/** Another integration of the same client: no row of the database stands between the two. */
const BESIDE = 'turning-beside'

let stage: RefreshStage
beforeAll(async () => {
  stage = await RefreshStage.set(inject('postgresUrl'), { a: {}, b: {} })
  const body = { slug: BESIDE, provider: TURNING.provider, client_id: TURNING.client, client_secret: clientSecretOf(TURNING.client) }
  await stage.owner.client.call('integrationCreate', { params: stage.owner.place, body })
})
afterAll(() => stage?.close())

function importing(node: number, slug: string, { accessToken, refreshToken }: Pick<IssuedGrant, 'accessToken' | 'refreshToken'>) {
  const { org, project, environment } = stage.owner.place
  return fetch(`${stage.nodes[node]!.gateway.url}/api/v1/orgs/${org}/projects/${project}/${environment}/connections/import`, {
    method: 'POST',
    headers: { authorization: `Bearer ${stage.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      integration: slug,
      end_user_id: `user-${randomBytes(6).toString('hex')}`,
      access_token: accessToken,
      refresh_token: refreshToken,
      // The first call of the connection renews it.
      expires_at: new Date(Date.now() - 1_000).toISOString(),
    }),
  })
}

async function imported(response: Response, slug: string, grant: IssuedGrant): Promise<Imported> {
  const { id } = (await response.json()) as { id: string }
  return { id, slug, grant, first: digest(grant.accessToken) }
}

describe('one refresh token imported at two gateways at once', () => {
  it('S2 F-03 makes one connection, and no family of tokens dies of it', async () => {
    for (let round = 0; round < 6; round++) {
      const grant = await stage.issuer.grant(TURNING.client)
      const slugs = [TURNING.slug, BESIDE]
      const answers = await Promise.all([0, 1].map((node) => importing(node, slugs[(node + round) % 2]!, grant)))
      expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 409])
      const won = answers.findIndex(({ status }) => status === 201)
      const one = await imported(answers[won]!, slugs[(won + round) % 2]!, grant)
      const refusal = problemSchema.parse(await answers[1 - won]!.json())
      expect(refusal).toMatchObject({ code: 'refresh_token_held', detail: expect.stringContaining(one.id) as string })

      const calls = await Promise.all([0, 1, 0, 1].map((node) => stage.call(one, node)))
      expect(calls.map(({ status }) => status)).toEqual([200, 200, 200, 200])
      // What is spent now is the connection's still: it is not shown again by another one.
      expect((await importing(round % 2, BESIDE, grant)).status).toBe(409)
      expect((await stage.call(one, 1)).status).toBe(200)
      expect((await stage.showings(one)).map(({ outcome }) => outcome)).toEqual(['rotated'])
      expect(await stage.view(one)).toMatchObject({ status: 'active', health: 'active', failure: null })
    }
  })
})
