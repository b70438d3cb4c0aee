/** `sallyport init`: gives a production installation its first organization and owner. Refuses once it has another owner. */
import { formatId } from '@sallyport/core'
import { openKeyroom } from '../compose/index.ts'
import { ensureFirstOwner } from '../identity/index.ts'
import { CommandError } from './command.ts'
import type { CommandContext } from './command.ts'
import { EXIT } from './explain.ts'

export async function initCommand({ config, json, print }: CommandContext): Promise<number> {
  if (config.mode === 'development') throw new CommandError('In development the first start makes an owner and prints a link by itself.')
  const { issuer, subject } = config.firstOwner
  const room = await openKeyroom(config, { provesRootKeys: true })
  try {
    const named = issuer === undefined || subject === undefined ? undefined : { issuer, subject }
    const { person, org, project, created, link } = await ensureFirstOwner(room.database, named)
    const href = link === undefined ? null : `${config.publicUrl}/console/#owner=${link.reveal()}`
    const made = {
      organization: formatId('org', org),
      project: formatId('proj', project),
      owner: formatId('user', person),
      created,
      link: href,
    }
    print(json ? JSON.stringify(made) : told(made, issuer))
    return EXIT.done
  } finally {
    await room.close()
  }
}

interface Made {
  readonly organization: string
  readonly created: boolean
  readonly link: string | null
}

function told({ organization, created, link }: Made, issuer: string | undefined): string {
  const there = `Organization ${organization} ${created ? 'was made' : 'is there already'}.`
  return link === null
    ? `${there}\nIts owner is the person of firstOwner.subject at ${issuer}, who signs in by a token of that issuer.`
    : `${there}\nIts owner's console, once and within an hour: ${link}`
}
