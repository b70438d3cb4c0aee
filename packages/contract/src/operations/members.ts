/** Owns who belongs to an organization, and how people come to. For people alone: no key changes who may change things. */
import { z } from 'zod'
import { CONTROL_BODY_BYTES, ROLES } from '../access.ts'
import * as s from '../schemas.ts'
import { define } from './operation.ts'
import type { Operation } from './operation.ts'
import { API, ORG, inOrg } from './paths.ts'

export const membersOperations = {
  memberList: define({
    method: 'GET',
    path: `${ORG}/members`,
    tag: 'Members',
    summary: 'Members of an organization',
    access: { audience: 'tenant', role: 'VIEWER', tenant: 'org', audit: 'none', bodyLimit: 0 },
    params: inOrg,
    query: s.pageQuery,
    response: s.pageOf(s.member),
    status: 200,
  }),
  memberUpdate: define({
    method: 'PATCH',
    path: `${ORG}/members/{member}`,
    tag: 'Members',
    summary: 'Change the role of a member: neither from nor to one that the caller does not have; an organization keeps an owner',
    access: { audience: 'tenant', role: 'ADMIN', tenant: 'org', audit: 'member.updated', bodyLimit: CONTROL_BODY_BYTES },
    params: inOrg.extend({ member: s.personId }),
    body: z.strictObject({ role: z.enum(ROLES) }),
    response: s.member,
    status: 200,
  }),
  memberRemove: define({
    method: 'DELETE',
    path: `${ORG}/members/{member}`,
    tag: 'Members',
    summary: 'Take somebody out of the organization, with the keys that they made; open invitations that they made are void',
    access: { audience: 'tenant', role: 'ADMIN', tenant: 'org', audit: 'member.removed', bodyLimit: 0 },
    params: inOrg.extend({ member: s.personId }),
    query: z.strictObject({
      keys: z
        .enum(['end', 'take_over'])
        .default('end')
        .describe(
          'What becomes of keys that they made, whose secrets they have seen; `take_over`: the caller, who stays, answers for them from now on',
        ),
    }),
    response: null,
    status: 204,
  }),
  organizationLeave: define({
    method: 'DELETE',
    path: `${ORG}/membership`,
    tag: 'Members',
    summary: 'Leave the organization, which ends the keys that the caller made; the last owner can not',
    access: { audience: 'tenant', role: 'VIEWER', tenant: 'org', audit: 'member.left', bodyLimit: 0 },
    params: inOrg,
    response: null,
    status: 204,
  }),
  invitationList: define({
    method: 'GET',
    path: `${ORG}/invitations`,
    tag: 'Members',
    summary: 'Invitations, newest first; never their links',
    access: { audience: 'tenant', role: 'ADMIN', tenant: 'org', audit: 'none', bodyLimit: 0 },
    params: inOrg,
    query: s.pageQuery,
    response: s.pageOf(s.invitation),
    status: 200,
  }),
  invitationCreate: define({
    method: 'POST',
    path: `${ORG}/invitations`,
    tag: 'Members',
    summary: 'Invite an e-mail address. The gateway sends no mail: hand the link over yourself; it takes the place of an open one',
    access: { audience: 'tenant', role: 'ADMIN', tenant: 'org', audit: 'invitation.created', bodyLimit: CONTROL_BODY_BYTES },
    params: inOrg,
    body: z.strictObject({
      email: s.email,
      role: z.enum(ROLES).describe("No larger than the inviter's"),
      expires_in_s: z.int().min(60).max(2_592_000).default(604_800).describe('A week unless said'),
    }),
    response: z.object({
      invitation: s.invitation,
      token: z.string().describe('Shown once; good once, for a person whose verified address is the invited one'),
      link: z.url(),
    }),
    status: 201,
  }),
  invitationRevoke: define({
    method: 'DELETE',
    path: `${ORG}/invitations/{invitation}`,
    tag: 'Members',
    summary: 'Take an open invitation back; one that is over stays as it is',
    access: { audience: 'tenant', role: 'ADMIN', tenant: 'org', audit: 'invitation.revoked', bodyLimit: 0 },
    params: inOrg.extend({ invitation: s.invitationId }),
    response: s.invitation,
    status: 200,
  }),
  invitationAccept: define({
    method: 'POST',
    path: `${API}/invitations/accept`,
    tag: 'Members',
    summary: 'Join an organization with the token of an invitation; people only',
    access: { audience: 'principal', tenant: 'none', audit: 'invitation.accepted', bodyLimit: CONTROL_BODY_BYTES },
    body: z.strictObject({ token: z.string().min(20).max(128) }),
    response: s.ownOrganization,
    status: 200,
  }),
} as const satisfies Record<string, Operation>
