/** Owns giving a test a second organization, which no route makes yet: by SQL, as the administrator of the test's own database. */
import { Client } from 'pg'
import { formatId, newId, parseId } from '@sallyport/core'
import type { Place } from './stage.ts'

/** An organization with one project, owned by `person` (`user_...`). */
export async function addOrganization(databaseUrl: string, person: string): Promise<Place> {
  const [org, project] = [newId('org'), newId('proj')]
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    await client.query("insert into sallyport.organization (id, name) values ($1, 'Another')", [org])
    await client.query("insert into sallyport.project (org_id, id, name) values ($1, $2, 'theirs')", [org, project])
    await client.query("insert into sallyport.membership (org_id, person_id, role) values ($1, $2, 'OWNER')", [
      org,
      parseId('user', person),
    ])
  } finally {
    await client.end()
  }
  return { org: formatId('org', org), project: formatId('proj', project), environment: 'test' }
}
