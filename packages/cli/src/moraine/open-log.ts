import { existsSync } from 'node:fs'
import { isMoraineError, systemRandom } from '@moraine/base'
import { listSegments, LocalWalFolder, type LocalWalSegment, startOfLog } from 'moraine/inspect'
import { UsageError } from '../terminal/usage-error.ts'

export interface OpenedLog {
  readonly log: LocalWalFolder
  readonly segments: readonly LocalWalSegment[]
  /** The sequence number in front of the oldest write that the log can hold. */
  readonly start: number
}

/**
 * Opens the local log in a folder for reading, whichever database it belongs to: nothing in the folder is changed. A
 * folder that holds none is a UsageError.
 */
export async function openLog(folder: string): Promise<OpenedLog> {
  if (!existsSync(folder)) throw new UsageError(`there is no folder ${folder}`)
  const identity = await LocalWalFolder.identify(folder)
  if (identity === undefined) throw new UsageError(`there is no write-ahead log in ${folder}`)
  const log = await LocalWalFolder.open(folder, { databaseId: identity.databaseId, random: systemRandom, create: false })
  const segments = await segmentsOf(log)
  // Segments that were flushed are gone, and what is left must be read from where it begins.
  return { log, segments, start: startOfLog(segments) }
}

/** A damaged segment header is for the replay to report, which says what stands before it. */
async function segmentsOf(log: LocalWalFolder): Promise<LocalWalSegment[]> {
  try {
    return await listSegments(log.folder, log)
  } catch (error) {
    if (isMoraineError(error, 'CORRUPTION')) return []
    throw error
  }
}
