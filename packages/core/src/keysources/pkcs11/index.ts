/** Root keys in a device that is called by PKCS#11. */
export { openPkcs11Device } from './device.ts'
export type { Pkcs11Device, Pkcs11Options } from './device.ts'
export { isPkcs11KeyName, pkcs11Key, pkcs11KeyId } from './key.ts'
export { startDeviceProcess } from './process.ts'
export type { DeviceProcess } from './process.ts'
