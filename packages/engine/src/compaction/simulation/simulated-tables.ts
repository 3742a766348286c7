import type { FileId } from '../../layout/object-names.ts'
import type { TableFile } from '../../manifest/table-file.ts'
import { applyEdit, type Version } from '../../manifest/version.ts'
import { type CompactionPlan, isTrivialMove } from '../compaction-plan.ts'

/** What a simulated table holds: one version of each of its keys, in key order. */
export interface SimulatedEntries {
  readonly keys: Uint32Array
  /** Which write it was; larger is newer. */
  readonly seqs: Uint32Array
  /** 1 for a tombstone. */
  readonly deleted: Uint8Array
}

/** Sizes of entries in a table, in bytes. */
export interface SimulatedSizes {
  readonly entryBytes: number
  readonly tombstoneBytes: number
  readonly targetFileSizeBytes: number
}

/**
 * Tables that consist of their keys alone, and compactions that merge them as the engine would: what the pickers decide
 * is applied to versions that hold real key ranges and sizes, without a byte of I/O. Pure but for the tables it remembers.
 */
export class SimulatedTables {
  readonly #contents = new Map<FileId, SimulatedEntries>()
  readonly #sizes: SimulatedSizes
  #made = 0

  constructor(sizes: SimulatedSizes) {
    this.#sizes = sizes
  }

  entriesOf(file: TableFile): SimulatedEntries {
    return this.#contents.get(file.id) as SimulatedEntries
  }

  /** One table with these entries, which must not be empty. */
  make(entries: SimulatedEntries, createdAtMs: number): TableFile {
    const { keys, seqs, deleted } = entries
    const id = `${'0'.repeat(12)}-${String(++this.#made).padStart(24, '0')}` as FileId
    let smallestSeq = Number.POSITIVE_INFINITY
    let largestSeq = 0
    let deletionCount = 0
    for (const [i, seq] of seqs.entries()) {
      if (seq < smallestSeq) smallestSeq = seq
      if (seq > largestSeq) largestSeq = seq
      deletionCount += deleted[i] as number
    }
    const sizeBytes = this.#bytesOf(entries)
    this.#contents.set(id, entries)
    return {
      id,
      sizeBytes,
      tailOffset: 0,
      tailCrc32c: 0,
      entryCount: keys.length,
      deletionCount,
      smallestKey: keyBytes(keys[0] as number),
      largestKey: keyBytes(keys[keys.length - 1] as number),
      smallestSeq,
      largestSeq,
      rawBytes: sizeBytes,
      createdAtMs,
    }
  }

  /** The version after a plan, and the tables it made: none for a move. */
  apply(version: Version, plan: CompactionPlan, createdAtMs: number): { version: Version; outputs: TableFile[] } {
    const trivial = isTrivialMove(plan)
    const inputs = plan.inputs.flatMap(({ files }) => [...files])
    const outputs = trivial ? [] : this.#merge(version, plan, createdAtMs)
    const after = applyEdit(version, {
      removed: plan.inputs.flatMap(({ level, files }) => files.map((file) => ({ level, file }))),
      added: (trivial ? inputs : outputs).map((file) => ({ level: plan.outputLevel, file })),
    })
    if (!trivial) for (const file of inputs) this.#contents.delete(file.id)
    return { version: after, outputs }
  }

  #merge(version: Version, plan: CompactionPlan, createdAtMs: number): TableFile[] {
    const runs = plan.inputs.flatMap(({ level, files }) =>
      level === 0 ? files.map((file) => this.entriesOf(file)) : [concatenated(files.map((file) => this.entriesOf(file)))],
    )
    const outputs: TableFile[] = []
    let merged = runs
    while (merged.length > 1) {
      // Neighbours are merged pairwise, so that an entry is copied log2(runs) times.
      merged = Array.from({ length: Math.ceil(merged.length / 2) }, (_, i) => {
        const newer = merged[2 * i] as SimulatedEntries
        const older = merged[2 * i + 1]
        return older === undefined ? newer : mergedPair(newer, older)
      })
    }
    const kept = withoutDeadTombstones(merged[0] as SimulatedEntries, olderTables(version, plan))
    for (const part of this.#split(kept)) outputs.push(this.make(part, createdAtMs))
    return outputs
  }

  #bytesOf({ deleted }: SimulatedEntries): number {
    const tombstones = deleted.reduce((count, flag) => count + flag, 0)
    return (deleted.length - tombstones) * this.#sizes.entryBytes + tombstones * this.#sizes.tombstoneBytes
  }

  *#split(entries: SimulatedEntries): Generator<SimulatedEntries> {
    let start = 0
    let bytes = 0
    for (const [i, flag] of entries.deleted.entries()) {
      if (bytes >= this.#sizes.targetFileSizeBytes) {
        yield slice(entries, start, i)
        start = i
        bytes = 0
      }
      bytes += flag === 1 ? this.#sizes.tombstoneBytes : this.#sizes.entryBytes
    }
    if (entries.keys.length > start) yield slice(entries, start, entries.keys.length)
  }
}

/** A key as the version sees it: four bytes, so that byte order is number order. */
export function keyBytes(key: number): Uint8Array {
  return new Uint8Array([key >>> 24, key >>> 16, key >>> 8, key])
}

export function keyNumber(bytes: Uint8Array): number {
  return (((bytes[0] as number) << 24) | ((bytes[1] as number) << 16) | ((bytes[2] as number) << 8) | (bytes[3] as number)) >>> 0
}

/** Key ranges of the tables outside a plan that may hold older versions than its inputs; of level 0, all that stay. */
function olderTables(version: Version, plan: CompactionPlan): (readonly TableFile[])[] {
  const taken = new Set(plan.inputs.flatMap(({ files }) => files))
  const older: (readonly TableFile[])[] = version.levels.slice(plan.outputLevel + 1)
  if (plan.outputLevel > 0) return older
  const zero = version.levels[0] as readonly TableFile[]
  return [...older, ...zero.filter((file) => !taken.has(file)).map((file) => [file])]
}

function withoutDeadTombstones(entries: SimulatedEntries, older: readonly (readonly TableFile[])[]): SimulatedEntries {
  const spans = older.map((files) => files.map((file) => [keyNumber(file.smallestKey), keyNumber(file.largestKey)] as const))
  const cursors = spans.map(() => 0)
  const bottommost = (key: number): boolean =>
    spans.every((run, i) => {
      let at = cursors[i] as number
      while (at < run.length && (run[at] as readonly [number, number])[1] < key) at++
      cursors[i] = at
      const span = run[at]
      return span === undefined || span[0] > key
    })
  const { keys, seqs, deleted } = entries
  const kept = allocate(keys.length)
  let count = 0
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as number
    if (deleted[i] === 1 && bottommost(key)) continue
    kept.keys[count] = key
    kept.seqs[count] = seqs[i] as number
    kept.deleted[count] = deleted[i] as number
    count++
  }
  return slice(kept, 0, count)
}

function mergedPair(newer: SimulatedEntries, older: SimulatedEntries): SimulatedEntries {
  const merged = allocate(newer.keys.length + older.keys.length)
  let [a, b, count] = [0, 0, 0]
  while (a < newer.keys.length || b < older.keys.length) {
    const keyA = a < newer.keys.length ? (newer.keys[a] as number) : Number.POSITIVE_INFINITY
    const keyB = b < older.keys.length ? (older.keys[b] as number) : Number.POSITIVE_INFINITY
    const [source, at] = keyA <= keyB ? [newer, a] : [older, b]
    merged.keys[count] = source.keys[at] as number
    merged.seqs[count] = source.seqs[at] as number
    merged.deleted[count] = source.deleted[at] as number
    count++
    if (keyA <= keyB) a++
    if (keyB <= keyA) b++
  }
  return slice(merged, 0, count)
}

function concatenated(parts: readonly SimulatedEntries[]): SimulatedEntries {
  const all = allocate(parts.reduce((count, { keys }) => count + keys.length, 0))
  let at = 0
  for (const part of parts) {
    all.keys.set(part.keys, at)
    all.seqs.set(part.seqs, at)
    all.deleted.set(part.deleted, at)
    at += part.keys.length
  }
  return all
}

function allocate(count: number): SimulatedEntries {
  return { keys: new Uint32Array(count), seqs: new Uint32Array(count), deleted: new Uint8Array(count) }
}

/** A copy, so that a part of a large merge does not keep all of it. */
function slice({ keys, seqs, deleted }: SimulatedEntries, start: number, end: number): SimulatedEntries {
  return { keys: keys.slice(start, end), seqs: seqs.slice(start, end), deleted: deleted.slice(start, end) }
}
