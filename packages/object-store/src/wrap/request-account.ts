import { FREE_PRICES, type PriceTable } from './price-table.ts'
import { EMPTY_TALLY, type RequestsByClass, type RequestTally, subtractTally } from './request-tally.ts'

/** Requests and bytes, and the dollars that they cost by a price table, without storage and network transfer. */
export interface RequestCost extends RequestTally {
  readonly dollars: number
}

/** One call of a store as it is charged. */
export interface ChargedCall {
  readonly requestClass: keyof RequestsByClass
  readonly requests: number
  readonly uploadedBytes: number
  readonly downloadedBytes: number
}

/**
 * What one purpose has asked of a store. It travels with the options of each call (`CallOptions.account`) down to the
 * CountingObjectStore, so that every try is charged to whom it was made for, whatever else runs at the same time.
 */
export class RequestAccount {
  readonly prices: PriceTable
  readonly #parent: RequestAccount | undefined
  readonly #requests = { put: 0, list: 0, get: 0, head: 0, delete: 0 }
  #uploadedBytes = 0
  #downloadedBytes = 0

  constructor(prices: PriceTable = FREE_PRICES, parent?: RequestAccount) {
    this.prices = prices
    this.#parent = parent
  }

  /** An account of its own for one piece of work; what it is charged, this one is charged too. */
  sub(): RequestAccount {
    return new RequestAccount(this.prices, this)
  }

  charge(call: ChargedCall): void {
    this.#requests[call.requestClass] += call.requests
    this.#uploadedBytes += call.uploadedBytes
    this.#downloadedBytes += call.downloadedBytes
    this.#parent?.charge(call)
  }

  /** Everything charged so far, or since an earlier tally of this account. */
  tally(since: RequestTally = EMPTY_TALLY): RequestTally {
    return subtractTally({ requests: this.#requests, uploadedBytes: this.#uploadedBytes, downloadedBytes: this.#downloadedBytes }, since)
  }

  /** Like `tally`, with dollars. */
  cost(since?: RequestTally): RequestCost {
    return costOf(this.tally(since), this.prices)
  }
}

/** What the requests and bytes cost at these prices. */
export function costOf(tally: RequestTally, prices: PriceTable): RequestCost {
  const { put, list, get, head } = tally.requests
  const requestDollars =
    put * prices.putDollarsPerMillion +
    list * prices.listDollarsPerMillion +
    get * prices.getDollarsPerMillion +
    head * prices.headDollarsPerMillion +
    tally.requests.delete * prices.deleteDollarsPerMillion
  const byteDollars =
    tally.uploadedBytes * prices.uploadDollarsPerGigabyte + tally.downloadedBytes * prices.downloadDollarsPerGigabyte
  return { ...tally, dollars: requestDollars / 1e6 + byteDollars / prices.bytesPerGigabyte }
}
