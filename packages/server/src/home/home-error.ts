import { SallyportError } from '@sallyport/core'

/**
 * - `root_key_file_unusable`: the file of root keys in the data folder can't be read or is not of its form.
 * - `root_key_file_missing`: the data folder has a database but no longer its keys.
 * - `root_keys_absent`: what should wrap data keys has no root keys.
 * - `port_in_use`: something else listens on the port.
 * - `listen_refused`: the address can't be listened on for another reason.
 * - `store_public`: a store that is to be spoken to without verified TLS leads to a public address.
 */
export type HomeErrorCode =
  | 'root_key_file_unusable'
  | 'root_key_file_missing'
  | 'root_keys_absent'
  | 'port_in_use'
  | 'listen_refused'
  | 'store_public'

/** Why the start was refused. The message says what to do. */
export class HomeError extends SallyportError<HomeErrorCode> {}
