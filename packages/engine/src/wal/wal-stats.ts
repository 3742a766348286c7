import type { LocalWalWriterStats } from './local-wal-writer.ts'
import type { StoreWalWriterStats } from './store-wal-writer.ts'

/** The write-ahead log in figures, by its kind. */
export type WalStats =
  | { readonly kind: 'none' }
  | ({ readonly kind: 'local' } & LocalWalWriterStats)
  | ({ readonly kind: 'object-store' } & StoreWalWriterStats)
