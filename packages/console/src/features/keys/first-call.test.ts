import { expect, it } from 'vitest'
import type { Connection } from '../../api/resources.ts'
import { firstCall } from './first-call.ts'

const connection = (provider: string): Connection => ({
  id: 'conn_0000000000000000000001',
  integration: 'my-integration',
  provider,
  end_user_id: "somebody's; $(id)",
  status: 'active',
  health: 'active',
  failure: null,
  account: { id: '1', label: "o'hara" },
  granted_scopes: [],
  missing_scopes: [],
  generation: 1,
  token_expires_at: null,
  created_at: '2026-01-01T00:00:00Z',
  updated_at: '2026-01-01T00:00:00Z',
})

it('the first call names the integration by its own name and asks who is connected', () => {
  expect(firstCall('http://127.0.0.1:7255', 'sp_test_x', connection('github'))).toBe(
    "curl -H 'Authorization: Bearer sp_test_x' -H 'Sallyport-Connection: conn_0000000000000000000001' 'http://127.0.0.1:7255/proxy/my-integration/user'",
  )
})

it('the first call holds nothing that people may choose freely, so its quotes stay closed', () => {
  const line = firstCall('http://127.0.0.1:7255', 'sp_test_x', connection('elsewhere'))
  expect(line).toMatch(/^[^$`;|&()]+$/u)
  expect(line.split("'").length).toBe(7)
})
