import type { Clock } from '@moraine/base'
import type { Db, DbReader } from 'moraine'
import { text } from '../model/latin1.ts'
import type { ModelDatabase } from '../model/model-database.ts'
import { type DrivenKeyspace, drivenKeyspaces } from '../model/model-keyspaces.ts'

/** The keyspaces that every database of a fleet has; the last one has a default TTL. */
export const FLEET_KEYSPACES: readonly DrivenKeyspace[] = drivenKeyspaces(undefined, false).filter(({ name }) => ['', 'counts', 'short'].includes(name))

/** The contents of a database or a reader, all keyspaces, at one sequence number; what has expired by now is not there. */
export async function difference(
  source: Db | DbReader,
  model: ModelDatabase,
  clock: Clock,
  drive: <T>(promise: Promise<T>) => Promise<T>,
  sequence: number = Number.POSITIVE_INFINITY,
): Promise<string | undefined> {
  for (const keyspace of FLEET_KEYSPACES) {
    const { name } = keyspace
    const reading = name === '' ? source : source.keyspace(name, {})
    // A scan fixes its time when it begins.
    const wanted = new Map(model.scan(name, {}, { sequence, timeMs: clock.nowMs() }))
    const found = await drive(contentsOf(reading))
    const different = stateDifference(found, wanted)
    if (different !== undefined) return name === '' ? different : `keyspace ${name}: ${different}`
  }
  return undefined
}

async function contentsOf(source: Pick<Db, 'scanBatches'>): Promise<ReadonlyMap<string, string>> {
  const state = new Map<string, string>()
  for await (const batch of source.scanBatches()) for (const [key, value] of batch) state.set(text(key), text(value))
  return state
}

/** The first difference of two states in words, or undefined. */
function stateDifference(found: ReadonlyMap<string, string>, wanted: ReadonlyMap<string, string>): string | undefined {
  for (const [key, value] of wanted) {
    const other = found.get(key)
    if (other !== value) return `key ${JSON.stringify(key)} is ${shown(other)}, not ${shown(value)}`
  }
  for (const [key, value] of found) {
    if (!wanted.has(key)) return `key ${JSON.stringify(key)} is ${shown(value)}, but should be absent`
  }
  return undefined
}

function shown(value: string | undefined): string {
  return value === undefined ? 'absent' : JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value)
}
