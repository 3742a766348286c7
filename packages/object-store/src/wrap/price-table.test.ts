// Invariant: a price table is complete or refused with the field that is wrong; a place suggests the table of its provider.
import { describe, expect, it } from 'vitest'
import { parseLocation } from '../parse-location.ts'
import { FREE_PRICES, PRICE_TABLES, type PriceTable, priceTable, S3_STANDARD_PRICES } from './price-table.ts'
import { PrefixedObjectStore } from './prefixed-object-store.ts'
import { pricesOfStore } from './prices-of-store.ts'

describe('a price table', () => {
  it('is known by its name', () => {
    for (const [name, table] of Object.entries(PRICE_TABLES)) expect(table.name).toBe(name)
    expect(priceTable('s3-standard')).toBe(S3_STANDARD_PRICES)
    expect(() => priceTable('S3' as 's3-standard')).toThrow(/'s3-standard', 's3-express', 'r2', 'free'/)
    expect(() => priceTable('toString' as 's3-standard')).toThrow(/prices must be/)
  })

  it("of one's own is taken as it was given", () => {
    const own = { ...FREE_PRICES, name: 'ours', putDollarsPerMillion: 1 }
    const taken = priceTable(own)
    own.putDollarsPerMillion = 2
    expect(taken.putDollarsPerMillion).toBe(1)
  })

  const wrong: [what: string, change: Partial<Record<keyof PriceTable | 'extra', unknown>>][] = [
    ['name', { name: '' }],
    ['currency', { currency: 'EUR' }],
    ['effectiveDate', { effectiveDate: 'today' }],
    ['effectiveDate', { effectiveDate: '2026-13-01' }],
    ['bytesPerGigabyte', { bytesPerGigabyte: 0 }],
    ['putDollarsPerMillion', { putDollarsPerMillion: -1 }],
    ['getDollarsPerMillion', { getDollarsPerMillion: Number.NaN }],
    ['storageDollarsPerGigabyteMonth', { storageDollarsPerGigabyteMonth: '0.023' }],
    ['listDollarsPerMillion', { listDollarsPerMillion: undefined }],
    ['extra', { extra: 1 }],
  ]
  it.each(wrong)('with a wrong %s is INVALID', (what, change) => {
    expect(() => priceTable({ ...FREE_PRICES, ...change } as unknown as PriceTable)).toThrow(
      expect.objectContaining({ code: 'INVALID', message: expect.stringContaining(what) as string }),
    )
  })
})

describe('the prices of a place', () => {
  const places: [location: string, table: string][] = [
    ['memory://somewhere/a', 'free'],
    ['file:///tmp/somewhere', 'free'],
    ['s3://bucket/prefix?region=us-east-1', 's3-standard'],
    ['s3://bucket--use1-az4--x-s3/prefix?region=us-east-1', 's3-express'],
    ['s3://bucket/prefix?endpoint=http://127.0.0.1:9000', 'free'],
    ['s3://bucket/prefix?endpoint=https://0123456789.r2.cloudflarestorage.com', 'r2'],
    ['s3://bucket/prefix?endpoint=https://s3.eu-west-1.amazonaws.com', 's3-standard'],
  ]
  it.each(places)('%s: %s', async (location, name) => {
    const { store, prefix } = parseLocation(location)
    expect(pricesOfStore(store).name).toBe(name)
    expect(pricesOfStore(new PrefixedObjectStore(store, prefix)).name).toBe(name)
    await store.close()
  })
})
