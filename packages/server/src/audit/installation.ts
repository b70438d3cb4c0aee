/**
 * Owns the name of the installation's own audit log: what concerns every organization and belongs to none, as the coming and going of root keys.
 * It is a chain like any organization's, verified alike, under an id that no organization can have: ids of organizations are made, and
 * carry a moment and a version.
 */
import type { OrgId } from '@sallyport/core'

export const INSTALLATION = '00000000-0000-0000-0000-000000000000' as OrgId
