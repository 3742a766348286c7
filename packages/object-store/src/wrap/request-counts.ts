import { type LatencyCounts, subtractLatency } from './latency-histogram.ts'
import type { PriceTable } from './price-table.ts'
import { costOf } from './request-account.ts'
import type { RequestTally } from './request-tally.ts'
import type { StoreOperation } from './wrapped-object-store.ts'

export const STORE_OPERATIONS: readonly StoreOperation[] = ['get', 'put', 'head', 'list', 'delete', 'deleteMany']

export interface OperationCounts {
  /** Calls that have ended. */
  readonly calls: number
  /** HTTP requests these calls take: several for a multipart upload or a long deleteMany. */
  readonly requests: number
  /** Calls that rejected. */
  readonly errors: number
  readonly bytesRead: number
  readonly bytesWritten: number
  readonly latency: LatencyCounts
}

/** What a store was asked since it was opened, or between two moments. */
export interface RequestCounts {
  readonly operations: Readonly<Record<StoreOperation, OperationCounts>>
  readonly requests: number
  readonly errors: number
  readonly bytesRead: number
  readonly bytesWritten: number
}

/** What happened between two snapshots of one store. */
export function subtractRequests(later: RequestCounts, earlier: RequestCounts): RequestCounts {
  return totalled((operation) => {
    const [a, b] = [later.operations[operation], earlier.operations[operation]]
    return {
      calls: a.calls - b.calls,
      requests: a.requests - b.requests,
      errors: a.errors - b.errors,
      bytesRead: a.bytesRead - b.bytesRead,
      bytesWritten: a.bytesWritten - b.bytesWritten,
      latency: subtractLatency(a.latency, b.latency),
    }
  })
}

/** The counts of every operation with their sums. */
export function totalled(countsOf: (operation: StoreOperation) => OperationCounts): RequestCounts {
  const entries = STORE_OPERATIONS.map((operation) => [operation, countsOf(operation)] as const)
  const sum = (field: 'requests' | 'errors' | 'bytesRead' | 'bytesWritten'): number =>
    entries.reduce((total, [, counts]) => total + counts[field], 0)
  return {
    operations: Object.fromEntries(entries) as Record<StoreOperation, OperationCounts>,
    requests: sum('requests'),
    errors: sum('errors'),
    bytesRead: sum('bytesRead'),
    bytesWritten: sum('bytesWritten'),
  }
}

/** What the counted requests cost at these prices, in US dollars, without storage and network transfer. */
export function estimateDollars(counts: RequestCounts, prices: PriceTable): number {
  return costOf(tallyOf(counts), prices).dollars
}

/** The counts of a store by the classes that are priced. */
export function tallyOf({ operations, bytesWritten, bytesRead }: RequestCounts): RequestTally {
  const { put, list, get, head, delete: one, deleteMany } = operations
  return {
    requests: {
      put: put.requests,
      list: list.requests,
      get: get.requests,
      head: head.requests,
      delete: one.requests + deleteMany.requests,
    },
    uploadedBytes: bytesWritten,
    downloadedBytes: bytesRead,
  }
}
