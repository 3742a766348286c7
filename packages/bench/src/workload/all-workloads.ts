import { batchPuts } from './batch-puts.ts'
import { blobValues } from './blob-values.ts'
import { compactionRate } from './compaction-rate.ts'
import { diskCache } from './disk-cache.ts'
import { durablePuts } from './durable-puts.ts'
import { flightsLoad } from './flights-load.ts'
import { batchScan, entryScan } from './full-scan.ts'
import { cachedReads, memtableReads } from './hot-reads.ts'
import { keyedStateProtocols } from './keyed-state-protocols.ts'
import { keyedStateRates } from './keyed-state-rates.ts'
import { merges } from './merges.ts'
import { missingKeys } from './missing-keys.ts'
import { rangeDelete } from './range-delete.ts'
import { reopen } from './reopen.ts'
import { residentReads } from './resident-reads.ts'
import { seekAndTake } from './seek.ts'
import { singlePuts } from './single-puts.ts'
import { stateProtocols } from './state-protocols.ts'
import { storeLogPuts } from './store-log-puts.ts'
import { sustainedWrites } from './sustained-writes.ts'
import { transactions } from './transactions.ts'
import type { Workload } from './workload.ts'

/** In the order of the report. Workloads that share a database stand together, so that one is open at a time. */
export const allWorkloads: readonly Workload[] = [
  singlePuts,
  batchPuts,
  durablePuts,
  storeLogPuts,
  memtableReads,
  residentReads,
  cachedReads,
  missingKeys,
  entryScan,
  batchScan,
  seekAndTake,
  sustainedWrites,
  transactions,
  compactionRate,
  diskCache,
  blobValues,
  reopen,
  rangeDelete,
  merges,
  stateProtocols,
  keyedStateRates,
  keyedStateProtocols,
  flightsLoad,
]
