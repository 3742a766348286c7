/** Decimal units, as storage is sold. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${Math.round(bytes)} B`
  if (bytes < 999_950) return `${(bytes / 1e3).toFixed(1)} kB`
  if (bytes < 999_950_000) return `${(bytes / 1e6).toFixed(1)} MB`
  if (bytes < 999_950_000_000) return `${(bytes / 1e9).toFixed(2)} GB`
  return `${(bytes / 1e12).toFixed(2)} TB`
}

export function formatCount(count: number): string {
  return count.toLocaleString('en-US')
}

/** `1 table`, `2 tables`. */
export function counted(count: number, noun: string, plural: string = `${noun}s`): string {
  return `${formatCount(count)} ${count === 1 ? noun : plural}`
}

/** A size for people and for programs' authors: `5.1 MB (5,123,456 bytes)`. */
export function formatSize(bytes: number): string {
  return bytes < 1000 ? counted(bytes, 'byte') : `${formatBytes(bytes)} (${formatCount(bytes)} bytes)`
}

/** How many times smaller the second is; `-` when there is nothing to compare. */
export function formatRatio(rawBytes: number, storedBytes: number): string {
  return rawBytes === 0 || storedBytes === 0 ? '-' : (rawBytes / storedBytes).toFixed(2)
}

/** ISO 8601 in UTC, to the second. */
export function formatTime(epochMs: number): string {
  const date = new Date(epochMs)
  return Number.isNaN(date.getTime()) ? `${epochMs} ms` : `${date.toISOString().slice(0, 19)}Z`
}
