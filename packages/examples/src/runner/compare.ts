import { utf8Encode } from '@moraine/base'
import type { JsonValue } from 'moraine'
import { EntryDigest } from '../flights/digest.ts'
import { readRows } from '../harness/file-sink.ts'
import type { AnyExample, ExampleSize } from './example.ts'
import { outputFolder } from './live.ts'

/** Rows of an output, whatever their order: how many, and the digest of them all. */
export interface RowSet {
  readonly rows: number
  readonly digest: string
}

export interface Comparison {
  readonly outputs: Readonly<Record<string, { readonly job: RowSet; readonly answer: RowSet }>>
  readonly equal: boolean
  readonly highlights: readonly string[]
}

/** Compares what a job has shown with the known answer. */
export async function compareRows(example: AnyExample, size: ExampleSize, results: string): Promise<Comparison> {
  const answers = await example.answer(size)
  const shown: Record<string, JsonValue[]> = {}
  const outputs: Record<string, { job: RowSet; answer: RowSet }> = {}
  let equal = true
  for (const output of example.outputs) {
    const rows: JsonValue[] = []
    for await (const row of readRows(outputFolder(results, output))) rows.push(row)
    shown[output] = rows
    const job = rowSet(rows)
    const answer = rowSet(answers[output] ?? [])
    outputs[output] = { job, answer }
    if (job.rows !== answer.rows || job.digest !== answer.digest) equal = false
  }
  return { outputs, equal, highlights: example.highlights(shown) }
}

export function rowSet(rows: readonly JsonValue[]): RowSet {
  const digest = new EntryDigest()
  for (const row of rows) digest.add(utf8Encode(JSON.stringify(row)), NOTHING)
  return { rows: digest.rows, digest: digest.toString() }
}

const NOTHING = new Uint8Array(0)
