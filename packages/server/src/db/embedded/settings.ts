/** Owns the server settings that code, not the folder, decides. Refuses TCP, and refuses statements or values in the server's log. */

/** For every server we start, from PostgreSQL 15 on. */
export const COMMON_SETTINGS: Readonly<Record<string, string>> = {
  max_connections: '100',
  shared_buffers: '128MB',
  password_encryption: 'scram-sha-256',
  // The bundled OpenSSL is old; nothing leaves the machine, so it is never given a handshake.
  ssl: 'off',
  log_destination: 'stderr',
  logging_collector: 'off',
  lc_messages: 'C',
  log_timezone: 'UTC',
  timezone: 'UTC',
  log_checkpoints: 'off',
  // Errors of statements go to the client that made them. In a log their text could carry a row's values.
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  log_statement: 'none',
  log_parameter_max_length: '0',
  log_parameter_max_length_on_error: '0',
}

export const SOCKET_PORT = 5432

/** For the gateway's own: reachable by a socket in a folder that only we may enter, and every commit on the disk. */
export function gatewaySettings(socketDir: string): Readonly<Record<string, string>> {
  return {
    ...COMMON_SETTINGS,
    cluster_name: 'sallyport',
    listen_addresses: '',
    unix_socket_directories: socketDir,
    unix_socket_permissions: '0700',
    port: String(SOCKET_PORT),
    fsync: 'on',
    full_page_writes: 'on',
    synchronous_commit: 'on',
  }
}
