import { systemClock } from '@moraine/base'
import type { ByteWork } from '../table/byte-work.ts'
import { InlineByteWork } from '../table/inline-byte-work.ts'
import type { OriginStores } from '../table/origin-stores.ts'
import type { TableStore } from '../table/table-store.ts'
import { ThreadByteWork } from '../table/thread/thread-byte-work.ts'
import { workerEntry } from '../table/thread/worker-entry.ts'
import type { EngineSettings } from './engine-settings.ts'

/** Byte work in threads, unless there are to be none or time is simulated, which threads would not see. */
export function chooseByteWork(settings: EngineSettings, stores: OriginStores, tables: TableStore): ByteWork {
  const { workerThreads, clock } = settings
  const inline = new InlineByteWork({ tables, clock })
  const entry = workerEntry()
  if (workerThreads === 0 || clock !== systemClock || entry === undefined) return inline
  return new ThreadByteWork({ entry, threads: workerThreads, storeOf: (origin) => stores.of(origin), inline })
}
