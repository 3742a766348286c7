/** The inside of the engine for tools and tests. No promise is made about it: it changes with the engine. */
export { type OperationVisitor, visitOperations } from './batch/batch-codec.ts'
export { walkBlobFile, type WalkedRecord } from './blob/walk-blob-file.ts'
export { diffVersions } from './checkpoint/diff-versions.ts'
export { findListedCheckpoint, type FoundCheckpoint, outsideCheckpoints } from './checkpoint/find-listed-checkpoint.ts'
export { type OutsideCheckpointRequest, takeOutsideCheckpoint } from './checkpoint/outside-checkpoint.ts'
export { createPin, isLapsed, type ListedPin, listPins, type Pin, releasePin } from './checkpoint/pins.ts'
export { RemoteCompactor, type RemoteCompactorEvent } from './compaction/remote/remote-compactor.ts'
export {
  simulateCompaction,
  type Simulation,
  type SimulationReport,
  type SimulationSettings,
} from './compaction/simulation/simulate-compaction.ts'
export type { KeyDistribution, SimulatedLoad } from './compaction/simulation/simulated-load.ts'
export { engineSettings } from './db/open-options.ts'
export {
  BASE_PREFIX,
  baseName,
  BLOB_PREFIX,
  blobName,
  DATABASE_FOLDERS,
  epochOfFile,
  type FileId,
  IDENTITY_NAME,
  isFileId,
  MANIFEST_PREFIX,
  manifestName,
  parseDataName,
  parseManifestName,
  PIN_PREFIX,
  SST_PREFIX,
  sstName,
  WAL_PREFIX,
} from './layout/object-names.ts'
export { openRemoteCompactor } from './recovery/open-remote-compactor.ts'
export type { Epoch, ManifestId } from './layout/numbers.ts'
export { type BlobFileUse, blobFilesOf } from './manifest/blob-files.ts'
export type { BlobLink } from './manifest/blob-link.ts'
export type { BaseReference, CheckpointRecord, Manifest } from './manifest/manifest.ts'
export { ManifestStore } from './manifest/manifest-store.ts'
export type { TableFile } from './manifest/table-file.ts'
export { countFiles, filesOf, levelBytes, type Version } from './manifest/version.ts'
export { LocalWalFolder, type LocalWalFolderOptions, type LocalWalSurvey } from './wal/local-wal-folder.ts'
export { listSegments, startOfLog, type LocalWalSegment } from './wal/local-wal-segments.ts'
export type { SegmentName } from './wal/wal-file-names.ts'
export type { WalIdentity, WalSegmentHeader } from './wal/wal-header.ts'
export type { WalRecord } from './wal/wal-record.ts'
