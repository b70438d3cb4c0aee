/** Owns whose turn it is. Refuses to let one lane's crowd keep the others waiting, or out. */
import { TransientMap } from '../kernel/index.ts'

/** Lanes take turns; within one, first come is first served. */
export class FairQueue<Item> {
  readonly #lanes = new TransientMap<string, Item[]>()
  readonly #bound: number
  #size = 0

  constructor(bound: number) {
    this.#bound = bound
  }

  get size(): number {
    return this.#size
  }

  /** Gives the item that has no place: the newcomer, or the last of the longest lane when that is longer than the newcomer's by two. */
  add(lane: string, item: Item): Item | undefined {
    const own = this.#lanes.get(lane)
    if (this.#size < this.#bound) {
      this.#push(lane, item)
      return undefined
    }
    let longest: string | undefined
    for (const [name, items] of this.#lanes) if (items.length > (this.#lanes.get(longest ?? '')?.length ?? 0)) longest = name
    if (longest === undefined || this.#lanes.get(longest)!.length < (own?.length ?? 0) + 2) return item
    const out = this.#lanes.get(longest)!.at(-1)!
    this.remove(longest, out)
    this.#push(lane, item)
    return out
  }

  /** The next in turn, of the lanes that may go; its lane goes to the end of the round. */
  next(mayGo: (lane: string) => boolean = () => true): Item | undefined {
    const first = this.#first(mayGo)
    if (first === undefined) return undefined
    const [lane, items] = first
    const item = items.shift()!
    this.#size--
    this.#lanes.delete(lane)
    if (items.length > 0) this.#lanes.set(lane, items)
    return item
  }

  #first(mayGo: (lane: string) => boolean): [string, Item[]] | undefined {
    for (const entry of this.#lanes) if (mayGo(entry[0])) return entry
    return undefined
  }

  remove(lane: string, item: Item): boolean {
    const items = this.#lanes.get(lane) ?? []
    const at = items.indexOf(item)
    if (at < 0) return false
    items.splice(at, 1)
    this.#size--
    if (items.length === 0) this.#lanes.delete(lane)
    return true
  }

  #push(lane: string, item: Item): void {
    const items = this.#lanes.get(lane)
    if (items === undefined) this.#lanes.set(lane, [item])
    else items.push(item)
    this.#size++
  }
}
