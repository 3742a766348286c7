import type { ObjectStore } from '../object-store.ts'
import { FREE_PRICES, type PriceTable, R2_PRICES, S3_EXPRESS_PRICES, S3_STANDARD_PRICES } from './price-table.ts'

/**
 * The price table that a store's place suggests: memory, folders and servers of one's own are free; on AWS the name of a
 * directory bucket says S3 Express. A server that the environment alone names (AWS_ENDPOINT_URL) is not seen here.
 */
export function pricesOfStore({ url, traits }: Pick<ObjectStore, 'url' | 'traits'>): PriceTable {
  if (!url.startsWith('s3://')) return FREE_PRICES
  const { endpoint } = traits
  const host = endpoint === undefined ? 's3.amazonaws.com' : new URL(endpoint).hostname
  if (host.endsWith('.r2.cloudflarestorage.com')) return R2_PRICES
  if (!host.endsWith('.amazonaws.com')) return FREE_PRICES
  const bucket = url.slice('s3://'.length).split('/', 1)[0] as string
  return bucket.endsWith('--x-s3') ? S3_EXPRESS_PRICES : S3_STANDARD_PRICES
}
