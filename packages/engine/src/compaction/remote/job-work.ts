import { MoraineError } from '@moraine/base'
import type { MergeJob } from '../../table/byte-work.ts'

/** All that a remote compactor must know of a job. */
export interface JobWork {
  readonly merge: MergeJob
  readonly outputLevel: number
  /** An attempt whose heartbeat stands still for so long is given up; milliseconds. */
  readonly leaseMs: number
}

const FORMAT = 1

/** A job as text, for the manifest, whose checksum covers it: JSON, with bytes as `{"base64":...}`. */
export function encodeJobWork(work: JobWork): string {
  return JSON.stringify({ moraine: FORMAT, ...(plain(work) as object) })
}

export function decodeJobWork(text: string, name: string): JobWork {
  const work = revived(JSON.parse(text)) as JobWork & { moraine: number }
  if (work.moraine !== FORMAT) throw new MoraineError('INVALID', `${name} has format ${work.moraine}, which this program does not know: upgrade it`)
  return work
}

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { base64: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') }
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]))
}

function revived(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revived)
  if (typeof value !== 'object' || value === null) return value
  const { base64 } = value as { base64?: unknown }
  if (typeof base64 === 'string') return new Uint8Array(Buffer.from(base64, 'base64'))
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, revived(inner)]))
}
