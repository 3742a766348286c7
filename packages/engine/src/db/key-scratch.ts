import { MoraineError } from '@moraine/base'
import { type Bytes, checkText, keyBytes, MAX_KEY_BYTES } from '../batch/limits.ts'

const encoder = new TextEncoder()

/**
 * The bytes of a key for one synchronous use: text is encoded into a buffer that the next key overwrites, which spares
 * an allocation a call. Short ASCII, the usual case, is copied without a native call.
 */
export class KeyScratch {
  bytes: Uint8Array
  end = 0
  readonly #buffer = new Uint8Array(MAX_KEY_BYTES)

  constructor() {
    this.bytes = this.#buffer
  }

  /** INVALID as `keyBytes` says. Afterwards the key is `bytes[0, end)`. */
  load(key: Bytes): void {
    if (typeof key !== 'string') {
      this.bytes = keyBytes(key)
      this.end = key.length
      return
    }
    const buffer = this.#buffer
    this.bytes = buffer
    const { length } = key
    if (length <= 64) {
      let i = 0
      for (; i < length; i++) {
        const code = key.charCodeAt(i)
        if (code >= 0x80) break
        buffer[i] = code
      }
      if (i === length) {
        this.end = length
        return
      }
    }
    checkText(key, 'the key')
    const { read, written } = encoder.encodeInto(key, buffer)
    if (read < length) {
      throw new MoraineError('INVALID', `a key may have at most ${MAX_KEY_BYTES} bytes; this one, of ${length} characters, has more`)
    }
    this.end = written
  }

  /** A copy that outlives the next `load`. */
  copy(): Uint8Array {
    return this.bytes.slice(0, this.end)
  }
}
