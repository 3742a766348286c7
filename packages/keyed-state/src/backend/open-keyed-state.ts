import { type Location, open } from 'moraine'
import { Checkpointer } from '../checkpoint/checkpointer.ts'
import { SinkTransactions } from '../checkpoint/sink.ts'
import { StateRegistry } from '../descriptor/registry.ts'
import { CellCache } from '../state/cell-cache.ts'
import { EngineWriter } from '../state/engine-writer.ts'
import { Gate } from '../state/gate.ts'
import { KeyLanes } from '../state/key-lanes.ts'
import { KeySpace } from '../state/key-space.ts'
import { stateSpaces } from '../state/large-values.ts'
import type { StateHost } from '../state/state-host.ts'
import { TimerService } from '../timer/timer-service.ts'
import { BackendTime } from '../ttl/backend-time.ts'
import { ExpiryFilter } from '../ttl/expiry-filter.ts'
import { backendSettings, type BackendSettings, type KeyedStateOptions } from './backend-options.ts'
import { KeyedStateBackend } from './keyed-state-backend.ts'
import { findRestorePoint, type RestorePoint } from './restore-point.ts'

/** How long a caller's own clock may run ahead of the alarm for processing timers. */
const FOREIGN_TIME_DELAY_MS = 50

/**
 * Opens the keyed state at a location, and creates it when the location is empty. The state is that of the newest completed
 * checkpoint, or of the one that is asked for; whatever was written after it is given up, so that state and source offsets
 * (`restored.metadata`) move together. A process that had it open is fenced off.
 */
export async function openKeyedState<Key>(location: Location, options: KeyedStateOptions<Key>): Promise<KeyedStateBackend<Key>> {
  const settings = backendSettings(options)
  const { clock, random } = settings
  const filter = new ExpiryFilter()
  const db = await open(location, {
    ...settings.engine,
    wal: 'none',
    clock,
    ...(settings.removeExpired && { compactionFilter: filter }),
    ...(random !== undefined && { random }),
  })
  try {
    const point = await findRestorePoint(db, settings)
    const transactions = new SinkTransactions(settings.sinks, point.record.transactions)
    await transactions.recover()
    return compose({ settings, db, filter, point, transactions })
  } catch (error) {
    await db.close().catch(() => {})
    throw error
  }
}

interface Composition<Key> {
  readonly settings: BackendSettings<Key>
  readonly db: StateHost<Key>['db']
  readonly filter: ExpiryFilter
  readonly point: RestorePoint
  readonly transactions: SinkTransactions
}

function compose<Key>({ settings, db, filter, point, transactions }: Composition<Key>): KeyedStateBackend<Key> {
  const { clock, onError } = settings
  const { record, restored, lastNumber } = point
  const time = new BackendTime(settings.processingNow, record.time)
  const registry = new StateRegistry(record.states)
  filter.activate(time, registry)
  const gate = new Gate()
  const stopped = new AbortController()
  // A write that the engine refuses means that it is fenced or closed: nothing that is called from now on can be kept.
  const writer = new EngineWriter(db, false, (error) => gate.close(error))
  db.on('fenced', ({ error }) => gate.close(error))
  db.on('error', ({ error, willRetry }) => {
    if (!willRetry) gate.close(error)
    onError(error)
  })
  const keys = new KeySpace(settings.keyCodec, record.keyGroups)
  const limits = { maxEntries: settings.cacheEntries, maxBytes: settings.cacheSizeBytes }
  const cache = new CellCache(writer, limits, (key) => keys.describe(key))
  let { nextElement } = record
  const compactionFilter = settings.removeExpired ? { compactionFilter: filter } : {}
  const spaceOf = stateSpaces(db, { blobThresholdBytes: settings.largeValueBytes, ...compactionFilter })
  // Compactions go on with states that the program does not declare.
  if (record.states.some(({ separated }) => separated)) spaceOf(true)
  const host: StateHost<Key> = { db, spaceOf, gate, writer, cache, keys, time, registry, nextElement: () => nextElement++ }
  const timers = new TimerService(host, {
    clock,
    mostDelayMs: settings.foreignTime ? FOREIGN_TIME_DELAY_MS : undefined,
    stored: record.timers,
    onError,
  })
  const checkpointer = new Checkpointer(host, {
    clock,
    transactions,
    timers: () => timers.stored(),
    nextElement: () => nextElement,
    record,
    lastNumber,
    retain: settings.retainCheckpoints,
    signal: stopped.signal,
    onError,
  })
  const lanes = new KeyLanes(gate, keys, settings.maxInFlight)
  const stop = (): void => {
    timers.stop()
    stopped.abort()
  }
  return new KeyedStateBackend({ host, timers, checkpointer, lanes, restored, stop })
}
