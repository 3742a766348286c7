import type { Clock, Random } from '@moraine/base'
import type { JsonValue, Location } from 'moraine'
import { type Environment, openCheckpoint } from '../checkpoint/read-checkpoint.ts'
import type { Codec } from '../codec/codec.ts'
import { decodeNamespace, namespaceToJson } from '../codec/namespace-codec.ts'
import type { StateDescriptor } from '../descriptor/descriptor.ts'
import { KeySpace } from '../state/key-space.ts'
import { scannedState } from '../state/registered-state.ts'
import { scanEntries, type ScannedState, type StateEntry } from '../state/state-scan.ts'
import { parseTimerKey, statePrefix, TimerStateId } from '../state-key/state-key.ts'
import { timeOf } from '../timer/group-timers.ts'
import type { TimerDomain } from '../timer/timer.ts'
import { BackendTime, FROM_FIRST_WATERMARK, NEVER } from '../ttl/backend-time.ts'
import { describedKeyCodec, describedState } from './described-state.ts'
import { anything, checkOptions, text, withMethod } from '../descriptor/option-checks.ts'
import { line, SAVEPOINT_FORMAT, type SavepointEntry, type SavepointState, toJson } from './savepoint-lines.ts'

export interface ExportSavepointOptions {
  /** Id or name; default: the newest completed checkpoint. */
  readonly checkpoint?: string
  /** Needed when it is none of this package. */
  readonly keyCodec?: Codec<unknown>
  /** Needed for states whose codecs are none of this package, and for those that are to be upgraded on the way. */
  readonly states?: readonly StateDescriptor[]
  readonly clock?: Clock
  readonly random?: Random
}

/**
 * The state of a checkpoint as text, line by line, each with its line end: `Readable.from(exportSavepoint(location))` is a
 * file. See docs/savepoints.md for the format. The job may run meanwhile. Nothing is held in memory but a few entries.
 */
export async function* exportSavepoint(location: Location, options: ExportSavepointOptions = {}): AsyncGenerator<string, void, undefined> {
  const checks = { checkpoint: text, keyCodec: anything, states: anything, clock: withMethod('nowMs'), random: withMethod('fill') }
  checkOptions('exportSavepoint', options, checks)
  const { checkpoint, clock, random } = options
  const environment: Environment = { ...(clock !== undefined && { clock }), ...(random !== undefined && { random }) }
  const { reader, record } = await openCheckpoint(location, checkpoint, environment)
  try {
    const keys = new KeySpace(describedKeyCodec(record.keyCodec, options.keyCodec), record.keyGroups)
    // As of the checkpoint, not of now: the savepoint says what was there.
    const time = new BackendTime(() => record.time.processingMs ?? 0, record.time)
    const descriptors = options.states ?? []
    const described = record.states.map((state) => describedState(record.states, descriptors.find(({ name }) => name === state.name) ?? state.name))
    const states = record.states.map(({ name, kind, keyCodec, ttl, separated }, i): SavepointState => {
      const descriptor = described[i] as StateDescriptor
      const version = descriptor.version ?? descriptor.codec.version
      return {
        name,
        kind,
        codec: descriptor.codec.name,
        version,
        ...(keyCodec !== undefined && { keyCodec }),
        ...(ttl !== undefined && { ttl }),
        ...(separated === true && { separated }),
      }
    })
    const { keyCodec, keyGroups, metadata } = record
    yield line({ savepoint: SAVEPOINT_FORMAT, keyCodec, keyGroups, states, time: record.time, metadata })
    for (let group = keyGroups.first; group <= keyGroups.last; group++) {
      for (const descriptor of described) {
        const scanned = scannedState(descriptor, time)
        for await (const entries of scanEntries(reader, keys, scanned, statePrefix(group, scanned.stateId))) {
          for (const entry of entries) yield line(entryLine(keys, scanned, entry))
        }
      }
      for (const domain of ['event', 'processing'] satisfies TimerDomain[]) {
        for await (const batch of reader.scanBatches({ prefix: statePrefix(group, TimerStateId[domain]) })) {
          for (const [engineKey] of batch) {
            const { key, namespace } = parseTimerKey(engineKey)
            const timerKey = toJson(keys.codec, keys.codec.decode(key, keyCodec.version))
            yield line({ timer: domain, key: timerKey, ...namespaceField(decodeNamespace(namespace)), time: timeOf(engineKey) })
          }
        }
      }
    }
    yield line({ end: true })
  } finally {
    await reader.close()
  }
}

function entryLine(keys: KeySpace<unknown>, { stateName, format, mapKeyCodec }: ScannedState, entry: StateEntry<unknown>): SavepointEntry {
  const { expiresAt } = entry
  return {
    state: stateName,
    key: toJson(keys.codec, entry.key),
    ...namespaceField(entry.namespace),
    ...(mapKeyCodec !== undefined && { mapKey: toJson(mapKeyCodec, entry.mapKey) }),
    value: toJson(format.codec, entry.value),
    ...(expiresAt !== NEVER && { expiresAt: expiresAt === FROM_FIRST_WATERMARK ? ('first-watermark' as const) : expiresAt }),
  }
}

function namespaceField(namespace: ReturnType<typeof decodeNamespace>): { namespace?: JsonValue } {
  return namespace === undefined ? {} : { namespace: namespaceToJson(namespace) }
}
