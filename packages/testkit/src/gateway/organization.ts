/** Owns giving a test a second organization, and members that never signed in: by SQL, as the administrator of the test's own database. */
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

/** A person of nowhere else, as a VIEWER of `org` (`org_...`). Gives its id (`user_...`). */
export async function addMember(databaseUrl: string, org: string): Promise<string> {
  const person = newId('user')
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    await client.query("insert into sallyport.person (id, issuer, subject, name) values ($1, 'test', $2, 'A member')", [person, person])
    await client.query("insert into sallyport.membership (org_id, person_id, role) values ($1, $2, 'VIEWER')", [
      parseId('org', org),
      person,
    ])
  } finally {
    await client.end()
  }
  return formatId('user', person)
}
