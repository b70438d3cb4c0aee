/** Owns the numbers of PKCS#11 v2.40 (OASIS, Base Specification and Current Mechanisms) that this folder uses. Refuses to judge what they mean. */

export const OK = 0x00

/** CKF_*: flags of C_Initialize, C_OpenSession, a mechanism and a token. */
export const OS_LOCKING_OK = 0x02
export const SERIAL_SESSION = 0x04
export const MECHANISM_ENCRYPT = 0x100
export const MECHANISM_DECRYPT = 0x200
export const TOKEN_PIN_FINAL_TRY = 0x2_0000
export const TOKEN_PIN_LOCKED = 0x4_0000
export const TOKEN_PIN_TO_BE_CHANGED = 0x8_0000

/** CKU_USER. */
export const USER = 1
/** CKM_AES_GCM. */
export const AES_GCM = 0x1087
/** CKO_SECRET_KEY and CKK_AES. */
export const SECRET_KEY = 0x04
export const AES = 0x1f

/** CKA_*. */
export const ATTRIBUTE = {
  class: 0x000,
  token: 0x001,
  private: 0x002,
  label: 0x003,
  keyType: 0x100,
  id: 0x102,
  sensitive: 0x103,
  encrypt: 0x104,
  decrypt: 0x105,
  valueLength: 0x161,
  extractable: 0x162,
} as const

/** CKR_*: what a call may come back with. */
export const RETURNS = {
  0x02: 'HOST_MEMORY',
  0x03: 'SLOT_ID_INVALID',
  0x05: 'GENERAL_ERROR',
  0x06: 'FUNCTION_FAILED',
  0x07: 'ARGUMENTS_BAD',
  0x08: 'NO_EVENT',
  0x0a: 'CANT_LOCK',
  0x11: 'ATTRIBUTE_SENSITIVE',
  0x12: 'ATTRIBUTE_TYPE_INVALID',
  0x20: 'DATA_INVALID',
  0x21: 'DATA_LEN_RANGE',
  0x30: 'DEVICE_ERROR',
  0x31: 'DEVICE_MEMORY',
  0x32: 'DEVICE_REMOVED',
  0x40: 'ENCRYPTED_DATA_INVALID',
  0x41: 'ENCRYPTED_DATA_LEN_RANGE',
  0x42: 'AEAD_DECRYPT_FAILED',
  0x50: 'FUNCTION_CANCELED',
  0x54: 'FUNCTION_NOT_SUPPORTED',
  0x60: 'KEY_HANDLE_INVALID',
  0x62: 'KEY_SIZE_RANGE',
  0x63: 'KEY_TYPE_INCONSISTENT',
  0x68: 'KEY_FUNCTION_NOT_PERMITTED',
  0x70: 'MECHANISM_INVALID',
  0x71: 'MECHANISM_PARAM_INVALID',
  0x82: 'OBJECT_HANDLE_INVALID',
  0x90: 'OPERATION_ACTIVE',
  0x91: 'OPERATION_NOT_INITIALIZED',
  0xa0: 'PIN_INCORRECT',
  0xa1: 'PIN_INVALID',
  0xa2: 'PIN_LEN_RANGE',
  0xa3: 'PIN_EXPIRED',
  0xa4: 'PIN_LOCKED',
  0xb0: 'SESSION_CLOSED',
  0xb1: 'SESSION_COUNT',
  0xb3: 'SESSION_HANDLE_INVALID',
  0xe0: 'TOKEN_NOT_PRESENT',
  0xe1: 'TOKEN_NOT_RECOGNIZED',
  0x100: 'USER_ALREADY_LOGGED_IN',
  0x101: 'USER_NOT_LOGGED_IN',
  0x102: 'USER_PIN_NOT_INITIALIZED',
  0x103: 'USER_TYPE_INVALID',
  0x150: 'BUFFER_TOO_SMALL',
  0x190: 'CRYPTOKI_NOT_INITIALIZED',
  0x191: 'CRYPTOKI_ALREADY_INITIALIZED',
} as const

export type ReturnName = (typeof RETURNS)[keyof typeof RETURNS]
