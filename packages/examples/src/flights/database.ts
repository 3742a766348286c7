import { type Db, open } from 'moraine'

/**
 * Opens the database of flights. `localFolder` holds its write-ahead log, which nobody else reads: a process with
 * another folder sees what was flushed to the store. A database that somebody has open, or that crashed with writes in
 * a log elsewhere, is not taken over: this is a demonstration.
 */
export function openFlights(location: string, localFolder: string): Promise<Db> {
  return open(location, {
    wal: { kind: 'local', folder: localFolder },
    takeover: 'fail',
    // The whole job, decoding of the source included, is to stay below 512 MB.
    blockCacheSizeBytes: 16 * 1024 * 1024,
  })
}
