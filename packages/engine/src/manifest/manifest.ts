import type { Epoch, ManifestId } from '../layout/numbers.ts'
import { epochOfJob, type FileId, type JobId } from '../layout/object-names.ts'
import type { KeyspaceRecord } from './keyspace-record.ts'
import { type Origin, type OriginPin, originKey } from './origin.ts'
import type { Version } from './version.ts'
import { versionDefect } from './version.ts'

/** The durable record of a database's state: everything a process needs to know before it reads a table. */
export interface Manifest {
  readonly id: ManifestId
  /** The epoch of the writer that committed it. */
  readonly epoch: Epoch
  /** Random per commit attempt: tells our own bytes from another writer's under the same number. */
  readonly token: string
  /** The database this manifest belongs to; equal in every manifest of a prefix, and to the identity object. */
  readonly databaseId: string
  /** Wall-clock milliseconds since the Unix epoch at the writer; for display. */
  readonly committedAtMs: number
  /** Every write up to this sequence number is in the tables of `version`; the log is replayed above it. */
  readonly flushedSeq: number
  /** Sequence numbers up to this one may have been used, so that none is ever used again. At least `flushedSeq`. */
  readonly lastSeq: number
  /** Id of the local WAL folder whose log continues this manifest; undefined when there is none. */
  readonly walId: string | undefined
  /** The owner closed the database and holds nothing unflushed; `takeover: 'fail' | 'wait'` look at it. */
  readonly released: boolean
  /** The database is being deleted: nobody may open it, and what it names may be gone. */
  readonly destroyed?: boolean | undefined
  /** Who opened it, for messages: host and process. */
  readonly owner: string
  readonly version: Version
  /** Checkpoints that keep a manifest, and with it every file it names, from being collected. */
  readonly checkpoints: readonly CheckpointRecord[]
  /** Object-store logs that a reader of this manifest replays: their epochs and first segment numbers, oldest first. */
  readonly walEpochs: readonly WalEpoch[]
  /** What this database has pinned in the databases whose tables its version or its checkpoints name. */
  readonly origins: readonly OriginPin[]
  /** Compactions offered to remote compactors; only those of the manifest's own epoch count, see `openJobs`. */
  readonly jobs: readonly CompactionJob[]
  /** What is remembered of the keyspaces, the default one included. */
  readonly keyspaces: readonly KeyspaceRecord[]
  /** The latest moment that expiry was decided by, in wall-clock milliseconds: time never runs back before it. */
  readonly ttlNowMs: number
  /** The object that holds most of the file list when it is too long to repeat in every manifest. */
  readonly base: BaseReference | undefined
}

/** A durable, named pin of a manifest, with the caller's metadata. */
export interface CheckpointRecord {
  readonly id: string
  readonly name: string | undefined
  /** The manifest whose state it is. */
  readonly manifestId: ManifestId
  readonly createdAtMs: number
  /** Wall-clock milliseconds since the Unix epoch, by the owner's clock; undefined for never. */
  readonly expiresAtMs: number | undefined
  /** The caller's metadata as JSON text. */
  readonly metadata: string
}

/** A compaction that whoever can read the tables may carry out for the owner. */
export interface CompactionJob {
  readonly id: JobId
  /** The work as text: `compaction/remote/job-work.ts`. */
  readonly work: string
}

/** The jobs whose results may still be committed: only the owner that offered one commits it. */
export function openJobs({ epoch, jobs }: Pick<Manifest, 'epoch' | 'jobs'>): readonly CompactionJob[] {
  return jobs.filter(({ id }) => epochOfJob(id) === epoch)
}

/** One owner's log in the object store. */
export interface WalEpoch {
  readonly epoch: Epoch
  /** Number of the first segment that holds writes above the flushed sequence number. */
  readonly firstSegment: number
}

/** A file list in an object of its own; the manifest then lists only what differs from it. */
export interface BaseReference {
  readonly id: FileId
  readonly sizeBytes: number
  readonly crc32c: number
}

/** The first broken invariant of a manifest in words, or undefined. Run before every commit and after every decode. */
export function manifestDefect(manifest: Manifest): string | undefined {
  const defect = versionDefect(manifest.version)
  if (defect !== undefined) return defect
  if (manifest.lastSeq < manifest.flushedSeq) return 'has flushed a sequence number above the last one used'
  let olderEpoch = 0
  for (const { epoch, firstSegment } of manifest.walEpochs) {
    if (epoch <= olderEpoch || epoch > manifest.epoch || firstSegment < 1) return `lists a log of epoch ${epoch} that cannot be`
    olderEpoch = epoch
  }
  const pinned = new Set(manifest.origins.map(({ origin }) => originKey(origin)))
  // Tables of one origin share one object nearly always, so its key is made once.
  const sound = new Set<Origin | undefined>([undefined])
  for (const files of manifest.version.levels) {
    for (const file of files) {
      for (const { id, origin } of file.blobs === undefined ? [file] : [file, ...file.blobs]) {
        if (sound.has(origin)) continue
        if (!pinned.has(originKey(origin as Origin))) {
          return `borrows ${id === file.id ? 'table' : 'blob file'} ${id} from database ${origin?.databaseId} and records no pin there`
        }
        sound.add(origin)
      }
      if (file.largestSeq > manifest.flushedSeq) return `table ${file.id} holds writes above the flushed sequence number`
    }
  }
  return undefined
}
