/** Owns the failures of this folder. Refuses to tell anybody of an invitation who does not hold its token. */
import { SallyportError } from '@sallyport/core'

/**
 * - `not_found`: no such member, invitation or organization here; or the caller is no member any more.
 * - `forbidden`: not for keys, or not for people who own no organization.
 * - `conflict`: it is so already: the person is a member. Or it would be taken over by who goes.
 * - `confirmation_mismatch`: what was to be typed again is something else.
 * - `last_owner`: it would leave the organization without an owner.
 * - `role_exceeded`: a role that the caller does not have, given or taken.
 * - `step_up_required`: an owner is changed by somebody without a second factor.
 * - `organization_limit`: the person owns as many organizations as one may.
 * - `resource_limit`: the organization has as many of something as one may have.
 * - `invitation_invalid`: unknown, accepted, revoked, expired, or made by somebody who could not make it any more.
 * - `invitation_email_mismatch`: the person's verified address is not the invited one.
 * - `email_domain_refused`: the organization takes addresses of other domains only.
 */
export type OrganizationErrorCode =
  | 'not_found'
  | 'forbidden'
  | 'conflict'
  | 'confirmation_mismatch'
  | 'last_owner'
  | 'role_exceeded'
  | 'step_up_required'
  | 'organization_limit'
  | 'resource_limit'
  | 'invitation_invalid'
  | 'invitation_email_mismatch'
  | 'email_domain_refused'

export class OrganizationError extends SallyportError<OrganizationErrorCode> {
  override readonly name = 'OrganizationError'

  /** @param publicDetail one sentence for the caller */
  constructor(code: OrganizationErrorCode, publicDetail?: string) {
    super(code, publicDetail ?? code, publicDetail === undefined ? {} : { publicDetail })
  }
}
