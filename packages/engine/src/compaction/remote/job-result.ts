import { compareBytes, MoraineError } from '@moraine/base'
import { epochOfFile, epochOfJob, type FileId, type JobId, jobObjectName, jobOfFile } from '../../layout/object-names.ts'
import { decodeBase, encodeBase } from '../../manifest/manifest-codec.ts'
import type { BlobLink } from '../../manifest/blob-link.ts'
import { type Origin, originKey } from '../../manifest/origin.ts'
import { precedes, type TableFile } from '../../manifest/table-file.ts'
import { type CompactionPlan, keySpan } from '../compaction-plan.ts'

/** The result object: a file list in the frame of base objects, with its checksum. */
export function encodeJobResult(outputs: readonly TableFile[], outputLevel: number): Uint8Array {
  return encodeBase(outputs.map((file) => ({ level: outputLevel, file })))
}

/**
 * The tables of a result. CORRUPTION when they cannot be what comes of the plan: it was made by another process, and the
 * version would have to be sound with it.
 */
export function decodeJobResult(
  bytes: Uint8Array,
  job: JobId,
  attempt: number,
  plan: CompactionPlan,
  relocated: readonly FileId[],
): TableFile[] {
  const name = jobObjectName(job, attempt, 'result')
  const wrong = (what: string): MoraineError => new MoraineError('CORRUPTION', `${name} ${what}`, { detail: { object: name } })
  const inputs = plan.inputs.flatMap(({ files }) => [...files])
  const [smallest, largest] = keySpan(inputs)
  const newestSeq = inputs.reduce((seq, file) => Math.max(seq, file.largestSeq), 0)
  const known = new Map(inputs.flatMap(({ blobs = [] }) => blobs.map((link) => [link.id, link] as const)))
  const outputs: TableFile[] = []
  for (const { level, file } of decodeBase(bytes, name)) {
    if (level !== plan.outputLevel || file.origin !== undefined || file.range !== undefined) throw wrong('holds a table that is no output')
    if (jobOfFile(file.id) !== job || epochOfFile(file.id) !== epochOfJob(job)) throw wrong(`names table ${file.id} of another job`)
    const outside = compareBytes(file.smallestKey, smallest) < 0 || compareBytes(file.largestKey, largest) > 0
    if (outside || compareBytes(file.smallestKey, file.largestKey) > 0) throw wrong(`has table ${file.id} with keys outside of the inputs`)
    if (file.largestSeq > newestSeq || file.smallestSeq > file.largestSeq) throw wrong(`has table ${file.id} with impossible sequence numbers`)
    for (const { id, origin, sizeBytes } of file.blobs ?? []) {
      const input = known.get(id)
      const sound = input === undefined ? jobOfFile(id) === job && origin === undefined : input.sizeBytes === sizeBytes && sameOrigin(input, origin)
      if (!sound) throw wrong(`has table ${file.id} with values in blob file ${id}, which is neither its own nor the inputs'`)
    }
    // Or the same values would be picked again and again.
    if (file.blobs?.some(({ id }) => relocated.includes(id)) === true) throw wrong(`has table ${file.id} with values that should have moved`)
    const before = outputs.at(-1)
    if (before !== undefined && !precedes(before, file)) throw wrong(`has tables that overlap`)
    outputs.push(file)
  }
  return outputs
}

function sameOrigin(link: BlobLink, origin: Origin | undefined): boolean {
  if (link.origin === undefined || origin === undefined) return link.origin === origin
  return originKey(link.origin) === originKey(origin)
}
