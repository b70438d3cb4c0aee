/** Slack, speaking as the person: the same server and API as the bot's. https://docs.slack.dev/authentication/installing-with-oauth */
import type { z } from 'zod'
import type { providerSchema } from '../schema.ts'
import { slack } from './slack.ts'

export const slackUser: z.input<typeof providerSchema> = {
  ...slack,
  id: 'slack-user',
  name: 'Slack (user)',
  oauth: {
    ...slack.oauth,
    scopeParameter: 'user_scope',
    // The person's token lies in `authed_user`; scopes for it are asked for apart from those of the bot.
    tokenQuirks: ['error_in_success', 'authed_user', 'own_token_type'],
  },
}
