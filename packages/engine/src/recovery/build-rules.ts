import type { Epoch } from '../layout/numbers.ts'
import { newBlobSeed } from '../layout/object-names.ts'
import type { SnapshotRegistry } from '../read/snapshots.ts'
import type { TtlClock } from '../read/ttl-clock.ts'
import type { ApplicationCode, FlushJob } from '../table/byte-work.ts'
import type { Keyspaces } from '../table/keyspaces.ts'
import type { EngineSettings } from './engine-settings.ts'
import { sstWriterSettings } from './sst-writer-settings.ts'

/** What flushes and compactions of a database go by, asked for whenever one begins. */
export class BuildRules {
  readonly #settings: EngineSettings
  readonly #databaseId: string
  readonly #epoch: Epoch
  readonly #keyspaces: Keyspaces
  readonly #snapshots: SnapshotRegistry
  readonly #time: TtlClock

  constructor(parts: {
    readonly settings: EngineSettings
    readonly databaseId: string
    readonly epoch: Epoch
    readonly keyspaces: Keyspaces
    readonly snapshots: SnapshotRegistry
    readonly time: TtlClock
  }) {
    this.#settings = parts.settings
    this.#databaseId = parts.databaseId
    this.#epoch = parts.epoch
    this.#keyspaces = parts.keyspaces
    this.#snapshots = parts.snapshots
    this.#time = parts.time
  }

  /** For tables of this level. */
  job(level: number): FlushJob {
    return {
      writer: sstWriterSettings(this.#settings, this.#databaseId, level),
      compressions: this.#keyspaces.compressions(level),
      snapshots: this.#snapshots.held(),
      ttlNowMs: this.ttlNowMs(),
      operators: this.#keyspaces.operatorNames(),
      blobs: {
        thresholdBytes: this.#settings.blobThresholdBytes,
        thresholds: this.#keyspaces.blobThresholds(),
        seed: newBlobSeed(this.#epoch, this.#settings.random),
        relocate: [],
      },
    }
  }

  ttlNowMs(): number {
    return Math.min(this.#time.nowMs(), this.#snapshots.earliestMs())
  }

  /** The code of the application that takes part in a flush; undefined when none does, so that a thread can do it. */
  flushCode(): ApplicationCode | undefined {
    const { operators } = this.#keyspaces
    return operators.hasApplicationCode ? { operators } : undefined
  }

  /** Likewise in a merge into a level. */
  mergeCode(outputLevel: number): ApplicationCode | undefined {
    const { operators } = this.#keyspaces
    const filters = this.#keyspaces.filters(outputLevel)
    return filters === undefined ? this.flushCode() : { operators, filters }
  }
}
