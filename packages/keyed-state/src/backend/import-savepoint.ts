import { type Clock, MoraineError, type Random } from '@moraine/base'
import { type Db, type Location, open, WriteBatch } from 'moraine'
import { automaticName, type CheckpointRecord } from '../checkpoint/checkpoint-record.ts'
import { listCheckpoints } from '../checkpoint/checkpointer.ts'
import { putCheckpoint } from '../checkpoint/put-checkpoint.ts'
import type { Codec } from '../codec/codec.ts'
import { namespaceFromJson } from '../codec/namespace-codec.ts'
import { encodeFloat64 } from '../codec/number-codecs.ts'
import type { StateDescriptor } from '../descriptor/descriptor.ts'
import { StateRegistry, type StoredState } from '../descriptor/registry.ts'
import { checkKeyGroups, keyGroupOf, type KeyGroupRange } from '../key-group/key-group.ts'
import { namespaceBytes } from '../state/key-space.ts'
import { DEFAULT_LARGE_VALUE_BYTES, IN_LARGE_VALUES, stateSpaces } from '../state/large-values.ts'
import { scannedState } from '../state/registered-state.ts'
import type { ScannedState } from '../state/state-scan.ts'
import { listElementKey, mapEntryKey, stateIdOf, stateKey, timerKey, TimerStateId } from '../state-key/state-key.ts'
import { checkTimer } from '../timer/timer.ts'
import { BackendTime, FROM_FIRST_WATERMARK, NEVER } from '../ttl/backend-time.ts'
import { describedKeyCodec, describedState } from './described-state.ts'
import { anything, checkOptions, text, withMethod } from '../descriptor/option-checks.ts'
import { findRestorePoint } from './restore-point.ts'
import {
  badLine,
  fromJson,
  parseLine,
  SAVEPOINT_FORMAT,
  type SavepointEntry,
  type SavepointHeader,
  type SavepointTimer,
} from './savepoint-lines.ts'

export interface ImportSavepointOptions {
  /** Needed when it is none of this package. */
  readonly keyCodec?: Codec<unknown>
  /** Needed for states whose codecs are none of this package. */
  readonly states?: readonly StateDescriptor[]
  /**
   * What the new database holds; default: what the savepoint says. The total may differ from the savepoint's; keys of other
   * groups are left out, so that several imports of one savepoint fill several databases.
   */
  readonly keyGroups?: KeyGroupRange
  /** Name of the checkpoint that the import ends with. */
  readonly name?: string
  readonly clock?: Clock
  readonly random?: Random
}

export interface ImportReport {
  readonly checkpointId: string
  readonly entries: number
  readonly timers: number
  /** Entries and timers of other key groups. */
  readonly leftOut: number
}

const BATCH_BYTES = 1024 * 1024

/**
 * Makes a database out of a savepoint, given line by line, at a location that is empty. It ends with a checkpoint; until then
 * the database is empty, so an import that was cut off is simply begun anew. INVALID names the line that is wrong.
 */
export async function importSavepoint(
  lines: Iterable<string> | AsyncIterable<string>,
  location: Location,
  options: ImportSavepointOptions = {},
): Promise<ImportReport> {
  checkOptions('importSavepoint', options, {
    keyCodec: anything,
    states: anything,
    keyGroups: anything,
    name: text,
    clock: withMethod('nowMs'),
    random: withMethod('fill'),
  })
  const { clock, random, name } = options
  const numbered = numberedLines(lines)
  const first = await numbered.next()
  if (first.done === true) throw new MoraineError('INVALID', 'the savepoint is empty')
  const importer = new Importer(headerOf(first.value), options)
  const db = await open(location, { wal: 'none', ...(clock !== undefined && { clock }), ...(random !== undefined && { random }) })
  try {
    await importer.begin(db)
    for await (const { content, number } of numbered) {
      const writing = importer.take(db, content, number)
      if (writing !== undefined) await writing
    }
    return await importer.finish(db, name)
  } finally {
    await db.close()
  }
}

class Importer {
  readonly #header: SavepointHeader
  readonly #keyCodec: Codec<unknown>
  readonly #keyGroups: KeyGroupRange
  readonly #stored: readonly StoredState[]
  readonly #states = new Map<string, ScannedState>()
  readonly #batch = new WriteBatch()
  #counts = { entries: 0, timers: 0, leftOut: 0 }
  #timers = { event: false, processing: false }
  #nextElement = 0
  #ended = false

  constructor(header: SavepointHeader, options: ImportSavepointOptions) {
    this.#header = header
    this.#keyGroups = options.keyGroups ?? header.keyGroups
    checkKeyGroups(this.#keyGroups)
    this.#keyCodec = describedKeyCodec(header.keyCodec, options.keyCodec)
    const time = new BackendTime(() => 0, header.time)
    const registered = header.states.map(({ name, version, ...state }): StoredState => ({ ...state, name, id: stateIdOf(name), versions: [version] }))
    this.#stored = new StateRegistry(registered).list()
    if (this.#stored.length !== registered.length) throw badLine(1, 'two states have the same name, or names with the same hash')
    const descriptors = options.states ?? []
    for (const { name } of registered) {
      const described = describedState(this.#stored, descriptors.find((descriptor) => descriptor.name === name) ?? name)
      this.#states.set(name, scannedState(described, time))
    }
  }

  /** INVALID when there is a completed checkpoint already. */
  async begin(db: Db): Promise<void> {
    const listed = await listCheckpoints(db)
    if (listed.some(({ number }) => number > 0)) throw new MoraineError('INVALID', 'the location holds keyed state already: import into an empty one')
    if (this.#stored.some(({ separated }) => separated)) stateSpaces(db, { blobThresholdBytes: DEFAULT_LARGE_VALUE_BYTES })(true)
    await findRestorePoint(db, { keyCodec: this.#header.keyCodec, keyGroups: undefined, checkpoint: undefined })
  }

  /** Takes a line in; a promise when a batch is written. */
  take(db: Db, content: unknown, number: number): Promise<void> | undefined {
    const fields = (content ?? {}) as Partial<SavepointEntry & SavepointTimer & { end: boolean }>
    if (this.#ended) throw badLine(number, 'there is something behind the end')
    try {
      if (fields.end === true) this.#ended = true
      else if (fields.timer !== undefined) this.#timer(fields as SavepointTimer)
      else this.#entry(fields as SavepointEntry)
    } catch (error) {
      throw badLine(number, (error as Error).message, error)
    }
    if (this.#batch.sizeBytes < BATCH_BYTES) return undefined
    return this.#write(db)
  }

  async finish(db: Db, name: string | undefined): Promise<ImportReport> {
    if (!this.#ended) throw new MoraineError('INVALID', 'the savepoint has no end line: it was cut off')
    await this.#write(db)
    const record: CheckpointRecord = {
      format: 1,
      number: 1,
      name: name ?? automaticName(1),
      keyGroups: this.#keyGroups,
      keyCodec: { name: this.#keyCodec.name, version: this.#keyCodec.version },
      states: this.#stored,
      time: this.#header.time,
      timers: this.#timers,
      nextElement: this.#nextElement,
      metadata: this.#header.metadata,
      transactions: [],
    }
    const { id } = await putCheckpoint(db, record)
    return { checkpointId: id, ...this.#counts }
  }

  #entry({ state: name, key, namespace, mapKey, value, expiresAt }: SavepointEntry): void {
    const state = this.#states.get(name)
    if (state === undefined) throw new TypeError(`there is no state '${String(name)}' in the header`)
    const { codec } = state.format
    const version = (this.#stored.find((stored) => stored.name === name) as StoredState).versions[0] as number
    const decoded = fromJson(codec, value, version)
    codec.check?.(decoded)
    const expiry = expiresAt === undefined ? NEVER : expiresAt === 'first-watermark' ? FROM_FIRST_WATERMARK : expiresAt
    if (typeof expiry !== 'number' || Number.isNaN(expiry)) throw new TypeError('expiresAt must be milliseconds')
    const stored = state.format.encode(decoded, expiry)
    const placed = this.#place(key)
    if (placed === undefined) return
    let engineKey = stateKey(placed.group, state.stateId, placed.bytes, namespaceBytes(namespace === undefined ? undefined : namespaceFromJson(namespace)))
    const { mapKeyCodec } = state
    if (mapKeyCodec !== undefined) engineKey = mapEntryKey(engineKey, mapKeyCodec.encode(fromJson(mapKeyCodec, mapKey as never, mapKeyCodec.version)))
    if (state.kind === 'list') engineKey = listElementKey(engineKey, this.#nextElement++)
    this.#batch.put(engineKey, stored, state.separated ? IN_LARGE_VALUES : undefined)
    this.#counts.entries++
  }

  #timer({ timer: domain, key, namespace, time }: SavepointTimer): void {
    checkTimer('a timer', { key, domain, time })
    const placed = this.#place(key)
    if (placed === undefined) return
    const space = namespaceBytes(namespace === undefined ? undefined : namespaceFromJson(namespace))
    this.#batch.put(timerKey(placed.group, TimerStateId[domain], encodeFloat64(time), placed.bytes, space), EMPTY)
    this.#timers[domain] = true
    this.#counts.timers++
  }

  #place(key: SavepointEntry['key']): { readonly group: number; readonly bytes: Uint8Array } | undefined {
    const { total, first, last } = this.#keyGroups
    const bytes = this.#keyCodec.encode(fromJson(this.#keyCodec, key, this.#keyCodec.version))
    const group = keyGroupOf(bytes, total)
    if (group >= first && group <= last) return { group, bytes }
    this.#counts.leftOut++
    return undefined
  }

  #write(db: Db): Promise<void> {
    const written = db.write(this.#batch)
    this.#batch.clear()
    return written
  }
}

const EMPTY = new Uint8Array(0)

function headerOf({ content, number }: { content: unknown; number: number }): SavepointHeader {
  const header = content as Partial<SavepointHeader>
  if (header?.savepoint !== SAVEPOINT_FORMAT) throw badLine(number, `{ "savepoint": ${SAVEPOINT_FORMAT}, ... } wanted first`)
  if (!Array.isArray(header.states) || header.keyCodec === undefined || header.keyGroups === undefined || header.time === undefined) {
    throw badLine(number, 'the header lacks keyCodec, keyGroups, states or time')
  }
  return { metadata: null, ...header } as SavepointHeader
}

async function* numberedLines(lines: Iterable<string> | AsyncIterable<string>): AsyncGenerator<{ content: unknown; number: number }> {
  let number = 0
  for await (const given of lines) {
    number++
    if (typeof given !== 'string') throw badLine(number, 'a string wanted; give the savepoint line by line')
    if (given.trim() !== '') yield { content: parseLine(given, number), number }
  }
}
