/** Owns what a caller of `/v1/` asks, until nobody else can be asked. Refuses to be asked again after that, and to keep any of it. */
import type { Asked } from '@sallyport/core'
import type { HeldRoom } from './asked-body.ts'

export class Prompt {
  #asked: (Asked & { readonly model: string }) | undefined
  readonly #room: HeldRoom

  constructor(asked: Asked & { readonly model: string }, room: HeldRoom) {
    this.#asked = asked
    this.#room = room
  }

  /** For a look: not to be kept. @throws TypeError once it is gone */
  get asked(): Asked & { readonly model: string } {
    if (this.#asked === undefined) throw new TypeError('a prompt that is gone')
    return this.#asked
  }

  /** `keeping`: bytes of it that the answer is made from. Repeating it changes nothing. */
  letGo(keeping: number): void {
    this.#asked = undefined
    this.#room.leave(keeping)
  }
}
