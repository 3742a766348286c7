import { estimateDollars, S3_STANDARD_PRICES } from '@moraine/object-store'
import type { Db } from 'moraine'

/** What the report says about the store, taken from `db.stats()`. */
export interface StoreFigures {
  readonly requests: number
  readonly requestsByKind: Readonly<Record<string, number>>
  /** At S3 list prices. */
  readonly dollars: number
  readonly levels: readonly LevelFigures[]
}

export interface LevelFigures {
  readonly name: string
  readonly files: number
  readonly bytes: number
}

export function storeFigures(db: Db): StoreFigures {
  const { levels, store } = db.stats()
  const byKind = Object.entries(store.operations)
    .map(([kind, counts]) => [kind, counts.requests] as const)
    .filter(([, requests]) => requests > 0)
  return {
    requests: store.requests,
    requestsByKind: Object.fromEntries(byKind),
    dollars: estimateDollars(store, S3_STANDARD_PRICES),
    levels: levels
      .filter(({ files }) => files > 0)
      .map(({ level, files, sizeBytes }) => ({ name: `level ${level}`, files, bytes: sizeBytes })),
  }
}
