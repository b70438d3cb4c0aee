/** Names the organization and project of the screen; a choice only for people who have one. */
import { useQueries, useSuspenseQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { organizationQuery, projectsQuery, whoamiQuery } from '../api/queries.ts'
import { usePlace } from './place.ts'

interface Group {
  readonly org: string
  readonly name: string
  readonly projects: readonly { readonly id: string; readonly name: string }[]
}

export function ProjectSwitch() {
  const place = usePlace()
  const navigate = useNavigate()
  const groups = useGroups()
  const choices = groups.flatMap(({ org, projects }) => projects.map(({ id }) => ({ org, project: id })))
  const here = groups.find(({ org }) => org === place.org)
  if (choices.length <= 1) {
    return (
      <div className="px-3">
        <p className="text-sm font-semibold">{here?.projects.find(({ id }) => id === place.project)?.name ?? ' '}</p>
        <p className="text-sm text-dim">{here?.name}</p>
      </div>
    )
  }
  return (
    <div className="px-2">
      <select
        aria-label="Project"
        value={place.project}
        onChange={({ target }) => {
          const chosen = choices.find(({ project }) => project === target.value)
          if (chosen !== undefined) void navigate({ to: '/$org/$project/$environment', params: { ...place, ...chosen } })
        }}
        className="w-full rounded-lg border border-line-strong bg-card px-2 py-2 text-sm font-semibold"
      >
        {groups.map(({ org, name, projects }) => (
          <optgroup key={org} label={name}>
            {projects.map((project) => (
              <option key={project.id} value={project.id}>
                {project.name}
              </option>
            ))}
          </optgroup>
        ))}
      </select>
    </div>
  )
}

function useGroups(): Group[] {
  const { data: person } = useSuspenseQuery(whoamiQuery)
  const orgs = person?.memberships.map(({ org }) => org) ?? []
  const organizations = useQueries({ queries: orgs.map((org) => organizationQuery(org)) })
  const projects = useQueries({ queries: orgs.map((org) => projectsQuery(org)) })
  return orgs.map((org, index) => ({ org, name: organizations[index]?.data?.name ?? '', projects: projects[index]?.data ?? [] }))
}
