import { MoraineError } from '@moraine/base'
import { storedKey } from '../key/keyspace.ts'
import { type Bytes, checkText, keyBytes, MAX_KEY_BYTES } from '../batch/limits.ts'

const encoder = new TextEncoder()

/**
 * The stored bytes of a key of one keyspace for one synchronous use: text is encoded into a buffer that the next key overwrites, which spares
 * an allocation a call. Short ASCII, the usual case, is copied without a native call.
 */
export class KeyScratch {
  bytes: Uint8Array
  end = 0
  readonly #prefix: Uint8Array
  readonly #start: number
  readonly #buffer: Uint8Array
  readonly #text: Uint8Array

  /** @param prefix what the stored keys of the keyspace begin with */
  constructor(prefix: Uint8Array) {
    this.#prefix = prefix
    this.#start = prefix.length
    this.#buffer = new Uint8Array(prefix.length + MAX_KEY_BYTES)
    this.#buffer.set(prefix)
    this.#text = this.#buffer.subarray(prefix.length)
    this.bytes = this.#buffer
  }

  /** INVALID as `keyBytes` says. Afterwards the key is `bytes[0, end)`. */
  load(key: Bytes): void {
    if (typeof key !== 'string') {
      this.bytes = storedKey(this.#prefix, keyBytes(key))
      this.end = this.bytes.length
      return
    }
    // UTF-8 has no byte 0xff, so text is stored as it is, behind the prefix that stands there already.
    const text = this.#text
    this.bytes = this.#buffer
    const { length } = key
    if (length <= 64) {
      let i = 0
      for (; i < length; i++) {
        const code = key.charCodeAt(i)
        if (code >= 0x80) break
        text[i] = code
      }
      if (i === length) {
        this.end = this.#start + length
        return
      }
    }
    checkText(key, 'the key')
    const { read, written } = encoder.encodeInto(key, text)
    if (read < length) {
      throw new MoraineError('INVALID', `a key may have at most ${MAX_KEY_BYTES} bytes; this one, of ${length} characters, has more`)
    }
    this.end = this.#start + written
  }

  /** A copy that outlives the next `load`. */
  copy(): Uint8Array {
    return this.bytes.slice(0, this.end)
  }
}
