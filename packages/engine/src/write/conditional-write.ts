import { MoraineError, throwIfAborted } from '@moraine/base'
import { keyText } from '../key/key-text.ts'
import { printableText } from '../key/text-range.ts'
import type { ConflictWatch } from './conflict-window.ts'
import type { Durability, WritePath } from './write-path.ts'

/** What must hold when the write is applied: that the key is absent, or that this write made its present value. */
export type WriteCondition = { readonly kind: 'absent' } | { readonly kind: 'version'; readonly version: number }

export interface ConditionalWrite {
  /** Stored. */
  readonly key: Uint8Array
  readonly condition: WriteCondition
  /** The write to the key, as an encoded batch. Does not change any more. */
  readonly operations: Uint8Array
  readonly durability: Durability | undefined
  readonly signal?: AbortSignal
  /** The write was taken in, and cannot be recalled any more. */
  readonly onTaken?: () => void
}

/** A version that is known; undefined inside of it: the key is absent. */
export interface KnownVersion {
  readonly version: number | undefined
}

/** Where the present version of a key can be had. */
export interface VersionSource {
  /** Undefined when only I/O could tell. */
  residentVersion(key: Uint8Array): KnownVersion | undefined
  /** As of the moment of the call. */
  fetchVersion(key: Uint8Array, signal: AbortSignal | undefined): Promise<number | undefined>
}

/**
 * Writes a key if its present version is the one wanted, else CONFLICT. The version is looked up in the same synchronous
 * step that applies the write, when it is in memory. Otherwise it is fetched first, under a watch: in the write's turn what
 * was fetched still stands unless the key was written meanwhile, and then the newer version is most likely in memory.
 * Each further round means that somebody else has written the key, so somebody always gets on.
 */
export async function writeConditionally(writes: WritePath, versions: VersionSource, write: ConditionalWrite): Promise<void> {
  const { key, condition, operations, durability, signal } = write
  let fetched: FetchedVersion | undefined
  try {
    for (;;) {
      let decided = false
      const admit = (): boolean => {
        const now = stillStanding(fetched, key) ?? versions.residentVersion(key)
        fetched?.watch.close()
        if (now === undefined) return false
        decided = true
        ensureHolds(condition, now.version, key)
        write.onTaken?.()
        return true
      }
      await writes.writeIf(operations, 1, admit, durability, signal)
      if (decided) return
      // Watch and read begin at the same moment.
      fetched = { watch: writes.conflicts.watch(writes.lastSeq), version: undefined }
      fetched.version = await versions.fetchVersion(key, signal)
      throwIfAborted(signal)
    }
  } finally {
    fetched?.watch.close()
  }
}

interface FetchedVersion {
  readonly watch: ConflictWatch
  version: number | undefined
}

function stillStanding(fetched: FetchedVersion | undefined, key: Uint8Array): KnownVersion | undefined {
  return fetched === undefined || fetched.watch.keyWritten(keyText(key)) ? undefined : fetched
}

function ensureHolds(condition: WriteCondition, version: number | undefined, key: Uint8Array): void {
  const wanted = condition.kind === 'absent' ? undefined : condition.version
  if (version === wanted) return
  const name = `key '${printableText(keyText(key))}'`
  const present = version === undefined ? `${name} is absent` : `${name} has version ${version}`
  const wish = wanted === undefined ? 'that it is absent' : `version ${wanted}`
  throw new MoraineError('CONFLICT', `${present}, and the write was made for ${wish}: read it with getEntry and decide anew`, {
    detail: { version },
  })
}
