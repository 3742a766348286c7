/**
 * The names in a local write-ahead log folder, spelled once:
 *
 *     wal.header                   whose log this is (wal-header.ts)
 *     wal.header.<hex>.tmp         a wal.header being made
 *     000000000007-00000001.wal    segment 1 of epoch 7
 *     000000000007.owner           epoch 7 may acknowledge writes, and no other (local-wal-folder.ts)
 *
 * Anything else in the folder is not ours and is left alone.
 */
export const WAL_HEADER_NAME = 'wal.header'

export interface SegmentName {
  readonly name: string
  readonly epoch: number
  /** Counts from 1 within its epoch. */
  readonly number: number
}

export function segmentName(epoch: number, number: number): string {
  return `${String(epoch).padStart(12, '0')}-${String(number).padStart(8, '0')}.wal`
}

/** The segments among the names of a folder, in log order. */
export function segmentsAmong(names: readonly string[]): SegmentName[] {
  const segments: SegmentName[] = []
  for (const name of names) {
    const match = /^(\d{12})-(\d{8})\.wal$/.exec(name)
    if (match !== null) segments.push({ name, epoch: Number(match[1]), number: Number(match[2]) })
  }
  return segments.toSorted((a, b) => a.epoch - b.epoch || a.number - b.number)
}

export function ownerMarkName(epoch: number): string {
  return `${String(epoch).padStart(12, '0')}.owner`
}

/** The epochs that have an owner mark among the names of a folder. */
export function ownersAmong(names: readonly string[]): number[] {
  const epochs: number[] = []
  for (const name of names) {
    const match = /^(\d{12})\.owner$/.exec(name)
    if (match !== null) epochs.push(Number(match[1]))
  }
  return epochs
}

export function temporaryHeaderName(unique: string): string {
  return `${WAL_HEADER_NAME}.${unique}.tmp`
}

export function isTemporaryHeader(name: string): boolean {
  return /^wal\.header\.[0-9a-f]+\.tmp$/.test(name)
}
