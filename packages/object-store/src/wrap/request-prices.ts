import type { RequestCounts } from './request-counts.ts'

/** List prices in US dollars. Deletes are free everywhere here. */
export interface RequestPrices {
  /** A million PUT, POST and LIST requests. */
  readonly writePerMillion: number
  /** A million GET and HEAD requests. */
  readonly readPerMillion: number
  /** Fees by the gigabyte (10^9 bytes) moved, apart from network egress. */
  readonly writtenPerGigabyte: number
  readonly readPerGigabyte: number
}

/** AWS S3 Standard, us-east-1. */
export const S3_STANDARD_PRICES: RequestPrices = { writePerMillion: 5, readPerMillion: 0.4, writtenPerGigabyte: 0, readPerGigabyte: 0 }

/** AWS S3 Express One Zone, us-east-1. */
export const S3_EXPRESS_PRICES: RequestPrices = {
  writePerMillion: 1.13,
  readPerMillion: 0.03,
  writtenPerGigabyte: 0.0032,
  readPerGigabyte: 0.0006,
}

/** Cloudflare R2, class A and class B operations. */
export const R2_PRICES: RequestPrices = { writePerMillion: 4.5, readPerMillion: 0.36, writtenPerGigabyte: 0, readPerGigabyte: 0 }

/** A server of one's own. */
export const FREE_PRICES: RequestPrices = { writePerMillion: 0, readPerMillion: 0, writtenPerGigabyte: 0, readPerGigabyte: 0 }

/** What the counted requests cost at these prices, in US dollars, without storage and network. */
export function estimateDollars(counts: RequestCounts, prices: RequestPrices): number {
  const { put, list, get, head } = counts.operations
  return (
    ((put.requests + list.requests) * prices.writePerMillion + (get.requests + head.requests) * prices.readPerMillion) / 1e6 +
    (counts.bytesWritten * prices.writtenPerGigabyte + counts.bytesRead * prices.readPerGigabyte) / 1e9
  )
}
