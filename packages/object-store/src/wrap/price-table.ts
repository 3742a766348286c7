import { MoraineError } from '@moraine/base'

/**
 * What a store takes, at list prices without free tiers, volume discounts and taxes. Requests are priced by their class and
 * by the million; a part of a multipart upload is a put like any other, and so are the two requests around the parts.
 */
export interface PriceTable {
  readonly name: string
  readonly currency: 'USD'
  /** The day the prices were in force, YYYY-MM-DD. */
  readonly effectiveDate: string
  /** What the provider counts as a gigabyte: 2^30 or 10^9 bytes. */
  readonly bytesPerGigabyte: number
  readonly putDollarsPerMillion: number
  readonly listDollarsPerMillion: number
  readonly getDollarsPerMillion: number
  readonly headDollarsPerMillion: number
  readonly deleteDollarsPerMillion: number
  /** Fees for the bytes of requests, apart from network transfer. */
  readonly uploadDollarsPerGigabyte: number
  readonly downloadDollarsPerGigabyte: number
  readonly storageDollarsPerGigabyteMonth: number
  /** For bytes that leave the region to the internet, in the first tier that is not free. */
  readonly transferOutDollarsPerGigabyte: number
}

/** The tables that have a name. */
export type PriceTableName = 's3-standard' | 's3-express' | 'r2' | 'free'

/**
 * AWS S3 Standard, us-east-1 (aws.amazon.com/s3/pricing): PUT, COPY, POST and LIST $0.005 a thousand; GET, HEAD and all
 * others $0.0004 a thousand; DELETE free; $0.023 a GB-month for the first 50 TB. Nothing is taken for transfer to EC2 in
 * the same region; $0.09 a GB to the internet.
 */
export const S3_STANDARD_PRICES: PriceTable = {
  name: 's3-standard',
  currency: 'USD',
  effectiveDate: '2025-04-10',
  bytesPerGigabyte: 2 ** 30,
  putDollarsPerMillion: 5,
  listDollarsPerMillion: 5,
  getDollarsPerMillion: 0.4,
  headDollarsPerMillion: 0.4,
  deleteDollarsPerMillion: 0,
  uploadDollarsPerGigabyte: 0,
  downloadDollarsPerGigabyte: 0,
  storageDollarsPerGigabyteMonth: 0.023,
  transferOutDollarsPerGigabyte: 0.09,
}

/**
 * AWS S3 Express One Zone, us-east-1, since the reduction of April 2025: PUT and LIST $0.00113 a thousand; GET $0.00003 a
 * thousand; DELETE free; $0.11 a GB-month. On top $0.0032 a GB uploaded and $0.0006 a GB retrieved: of all bytes since
 * then, before only of what a request had beyond 512 KiB.
 */
export const S3_EXPRESS_PRICES: PriceTable = {
  name: 's3-express',
  currency: 'USD',
  effectiveDate: '2025-04-10',
  bytesPerGigabyte: 2 ** 30,
  putDollarsPerMillion: 1.13,
  listDollarsPerMillion: 1.13,
  getDollarsPerMillion: 0.03,
  headDollarsPerMillion: 0.03,
  deleteDollarsPerMillion: 0,
  uploadDollarsPerGigabyte: 0.0032,
  downloadDollarsPerGigabyte: 0.0006,
  storageDollarsPerGigabyteMonth: 0.11,
  transferOutDollarsPerGigabyte: 0.09,
}

/**
 * Cloudflare R2, standard storage (developers.cloudflare.com/r2/pricing): class A operations (puts, parts, lists) $4.50 a
 * million; class B operations (gets, heads) $0.36 a million; deletes free; $0.015 a GB-month; no fee for egress.
 */
export const R2_PRICES: PriceTable = {
  name: 'r2',
  currency: 'USD',
  effectiveDate: '2025-04-10',
  bytesPerGigabyte: 10 ** 9,
  putDollarsPerMillion: 4.5,
  listDollarsPerMillion: 4.5,
  getDollarsPerMillion: 0.36,
  headDollarsPerMillion: 0.36,
  deleteDollarsPerMillion: 0,
  uploadDollarsPerGigabyte: 0,
  downloadDollarsPerGigabyte: 0,
  storageDollarsPerGigabyteMonth: 0.015,
  transferOutDollarsPerGigabyte: 0,
}

/** A server of one's own: MinIO, Ceph, a folder, memory. */
export const FREE_PRICES: PriceTable = {
  name: 'free',
  currency: 'USD',
  effectiveDate: '2025-04-10',
  bytesPerGigabyte: 2 ** 30,
  putDollarsPerMillion: 0,
  listDollarsPerMillion: 0,
  getDollarsPerMillion: 0,
  headDollarsPerMillion: 0,
  deleteDollarsPerMillion: 0,
  uploadDollarsPerGigabyte: 0,
  downloadDollarsPerGigabyte: 0,
  storageDollarsPerGigabyteMonth: 0,
  transferOutDollarsPerGigabyte: 0,
}

/** The tables by name. */
export const PRICE_TABLES: Readonly<Record<PriceTableName, PriceTable>> = {
  's3-standard': S3_STANDARD_PRICES,
  's3-express': S3_EXPRESS_PRICES,
  r2: R2_PRICES,
  free: FREE_PRICES,
}

const PRICE_FIELDS = Object.keys(FREE_PRICES).filter((field) => field.includes('Dollars')) as (keyof PriceTable)[]

/** What is wrong with a table of one's own, in words that say what is wanted; undefined when nothing is. */
export function priceTableDefect(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return `${Object.keys(PRICE_TABLES).map((name) => `'${name}'`).join(', ')} or a price table`
  }
  const table = value as Partial<Record<keyof PriceTable, unknown>>
  const unknown = Object.keys(table).find((field) => !Object.hasOwn(FREE_PRICES, field))
  if (unknown !== undefined) return `a price table of ${Object.keys(FREE_PRICES).join(', ')}, without '${unknown}'`
  if (typeof table.name !== 'string' || table.name === '') return 'a price table with a name'
  if (table.currency !== 'USD') return "a price table in currency 'USD'"
  if (!isDate(table.effectiveDate)) return 'a price table with an effectiveDate, YYYY-MM-DD'
  if (!Number.isSafeInteger(table.bytesPerGigabyte) || (table.bytesPerGigabyte as number) < 1) {
    return 'a price table with bytesPerGigabyte, 2 ** 30 or 10 ** 9'
  }
  const bad = PRICE_FIELDS.find((field) => !Number.isFinite(table[field]) || (table[field] as number) < 0)
  return bad === undefined ? undefined : `a price table with ${bad}, dollars that are not negative`
}

/** The table that is meant by a name or given itself. INVALID for neither. */
export function priceTable(prices: PriceTableName | PriceTable): PriceTable {
  if (typeof prices === 'string' && Object.hasOwn(PRICE_TABLES, prices)) return PRICE_TABLES[prices]
  const defect = priceTableDefect(prices)
  if (defect !== undefined) throw new MoraineError('INVALID', `prices must be ${defect}`)
  return { ...(prices as PriceTable) }
}

function isDate(value: unknown): boolean {
  return typeof value === 'string' && /^\d{4}-\d\d-\d\d$/.test(value) && !Number.isNaN(Date.parse(value))
}
