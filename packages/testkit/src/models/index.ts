/** Vendors of models as tests meet them. */
export { startModelUpstream, VENDORS } from './upstream.ts'
export type { Instead, ModelUpstream, ModelUpstreamOptions, SeenCall, VendorName } from './upstream.ts'
export { MODEL_CLIENTS, nameOf, statusOf, WEATHER } from './clients.ts'
export type { MakeModelClient, ModelAddress, ModelClient, Patience, Streamed, ToolUse, Usage } from './clients.ts'
export { cutStream, endlessStream, statusThenVendor } from './misbehaviour.ts'
export { HELLO, MOCK_LACKS, startModelMock } from './mock.ts'
export type { ModelMock } from './mock.ts'
