import { costOf, type CountingObjectStore, type PriceTable, requestCount, type RequestCost, tallyOf } from '@moraine/object-store'
import { type CostBook, REQUEST_PURPOSES, type RequestPurpose } from '../recovery/cost-book.ts'

/** What a database or a reader has asked of its store since it was opened, and what that costs. Tries count, failed ones too. */
export interface CostStats extends RequestCost {
  readonly prices: PriceTable
  /** The same by what it was for; adds up to the whole. */
  readonly byPurpose: Readonly<Record<RequestPurpose, RequestCost>>
  /** What the downloaded bytes cost on top when this process runs outside of the bucket's region. */
  readonly transferOutDollars: number
  readonly storage: StorageCost
  /** For a million keys written: all dollars but those of reads, over the keys written so far; 0 before the first. */
  readonly dollarsPerMillionPuts: number
  /** For a million keys looked up by `get`, `getMany` and `getResident`: most need no request at all. */
  readonly dollarsPerMillionGets: number
  readonly requestsPerMillionPuts: number
  readonly requestsPerMillionGets: number
}

/** Tables in the store. Manifests, logs, and what this process has never seen are not counted. */
export interface StorageCost {
  /** Of the present state. */
  readonly liveBytes: number
  readonly liveDollarsPerMonth: number
  /** Replaced since opening, and kept by checkpoints, pins and reads, or not deleted yet. */
  readonly heldBytes: number
  readonly heldDollarsPerMonth: number
}

/** What else the figures are computed from. */
export interface CostFacts {
  readonly liveBytes: number
  readonly heldBytes: number
  readonly puts: number
  readonly gets: number
}

export function costStats(store: CountingObjectStore, { accounts, prices }: CostBook, facts: CostFacts): CostStats {
  const total = costOf(tallyOf(store.snapshot()), prices)
  const entries = REQUEST_PURPOSES.map((purpose) => [purpose, accounts[purpose].cost()] as const)
  const byPurpose = Object.fromEntries(entries) as Record<RequestPurpose, RequestCost>
  const { get, scan } = byPurpose
  const gigabytes = (bytes: number): number => bytes / prices.bytesPerGigabyte
  const monthly = (bytes: number): number => gigabytes(bytes) * prices.storageDollarsPerGigabyteMonth
  const writeDollars = total.dollars - get.dollars - scan.dollars
  const writeRequests = requestCount(total) - requestCount(get) - requestCount(scan)
  return {
    ...total,
    prices,
    byPurpose,
    transferOutDollars: gigabytes(total.downloadedBytes) * prices.transferOutDollarsPerGigabyte,
    storage: {
      liveBytes: facts.liveBytes,
      liveDollarsPerMonth: monthly(facts.liveBytes),
      heldBytes: facts.heldBytes,
      heldDollarsPerMonth: monthly(facts.heldBytes),
    },
    dollarsPerMillionPuts: perMillion(writeDollars, facts.puts),
    dollarsPerMillionGets: perMillion(get.dollars, facts.gets),
    requestsPerMillionPuts: perMillion(writeRequests, facts.puts),
    requestsPerMillionGets: perMillion(requestCount(get), facts.gets),
  }
}

function perMillion(amount: number, operations: number): number {
  return operations === 0 ? 0 : (amount / operations) * 1e6
}
