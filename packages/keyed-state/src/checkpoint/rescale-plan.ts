import { MoraineError } from '@moraine/base'
import { uniteRegistries } from '../descriptor/registry.ts'
import { groupsOfTarget, type KeyGroupRange, spellGroups } from '../key-group/key-group.ts'
import { uniteTimes } from '../ttl/backend-time.ts'
import { automaticName, type CheckpointRecord, RECORD_FORMAT, type RestoredSource } from './checkpoint-record.ts'

/** A checkpoint that state is taken from. */
export interface RescaleSource {
  readonly databaseId: string
  readonly checkpointId: string
  readonly record: CheckpointRecord
}

/** Key groups of one source that a target gets. */
export interface RescalePart {
  readonly source: number
  readonly first: number
  readonly last: number
}

export interface RescaleTarget {
  readonly parts: readonly RescalePart[]
  /** What the target begins with. */
  readonly record: CheckpointRecord
}

/**
 * What each target of a rescale gets: its share of the key groups, out of the sources that hold them. Pure; INVALID unless the
 * sources hold every key group once and agree in what they share.
 */
export function planRescale(sources: readonly RescaleSource[], targetCount: number): RescaleTarget[] {
  const total = ensureWhole(sources)
  if (targetCount < 1 || targetCount > total) {
    throw new MoraineError('INVALID', `${total} key groups can be split into 1 to ${total} targets, not ${targetCount}`)
  }
  return Array.from({ length: targetCount }, (_, index) => {
    const keyGroups = groupsOfTarget(total, index, targetCount)
    const parts = sources.flatMap(({ record }, source): RescalePart[] => {
      const first = Math.max(record.keyGroups.first, keyGroups.first)
      const last = Math.min(record.keyGroups.last, keyGroups.last)
      return first <= last ? [{ source, first, last }] : []
    })
    const used = parts.map(({ source }) => sources[source] as RescaleSource)
    return { parts, record: targetRecord(keyGroups, used, spellPlan(sources, index, targetCount)) }
  })
}

/** The total, when the sources hold each key group once. */
function ensureWhole(sources: readonly RescaleSource[]): number {
  const [model] = sources
  if (model === undefined) throw new MoraineError('INVALID', 'rescaleKeyedState takes at least one source')
  const { total } = model.record.keyGroups
  const { keyCodec } = model.record
  for (const { record } of sources) {
    if (record.keyGroups.total !== total || record.keyCodec.name !== keyCodec.name || record.keyCodec.version !== keyCodec.version) {
      throw new MoraineError('INVALID', 'the sources of a rescale must have the same total of key groups and the same key codec')
    }
  }
  let next = 0
  for (const range of sources.map(({ record }) => record.keyGroups).sort((a, b) => a.first - b.first)) {
    if (range.first !== next) {
      throw new MoraineError('INVALID', `the sources of a rescale must hold every key group once: ${spellGroups(range)} does not go on from group ${next}`)
    }
    next = range.last + 1
  }
  if (next === total) return total
  throw new MoraineError('INVALID', `the sources of a rescale must hold every key group once: groups ${next} to ${total - 1} are missing`)
}

function targetRecord(keyGroups: KeyGroupRange, used: readonly RescaleSource[], rescale: string): CheckpointRecord {
  const records = used.map(({ record }) => record)
  const number = Math.max(...records.map((record) => record.number)) + 1
  return {
    format: RECORD_FORMAT,
    number,
    name: automaticName(number),
    keyGroups,
    keyCodec: (records[0] as CheckpointRecord).keyCodec,
    states: uniteRegistries(records.map(({ states }) => states)),
    time: uniteTimes(records.map(({ time }) => time)),
    timers: { event: records.some(({ timers }) => timers.event), processing: records.some(({ timers }) => timers.processing) },
    nextElement: Math.max(...records.map(({ nextElement }) => nextElement)),
    metadata: records.length === 1 ? (records[0] as CheckpointRecord).metadata : null,
    // Every transaction goes to one target, the one that gets the source's first key group.
    transactions: records.flatMap((record) => (holds(keyGroups, record.keyGroups.first) ? record.transactions : [])),
    sources: used.flatMap(originsOf),
    rescale,
  }
}

/** A source that was rescaled itself and has taken no checkpoint since stands for what it was made of. */
function originsOf({ checkpointId, record }: RescaleSource): readonly RestoredSource[] {
  const { metadata, keyGroups, time, sources } = record
  return sources ?? [{ checkpointId, metadata, keyGroups, watermark: time.watermark }]
}

function holds({ first, last }: KeyGroupRange, group: number): boolean {
  return first <= group && group <= last
}

function spellPlan(sources: readonly RescaleSource[], index: number, targetCount: number): string {
  return JSON.stringify({ sources: sources.map(({ databaseId, checkpointId }) => [databaseId, checkpointId]), target: index, of: targetCount })
}
