import { openFlights } from './database.ts'
import { EntryDigest } from './digest.ts'
import { timePointReads } from './point-reads.ts'
import { ProgressBar, type ProgressOutput } from './progress-bar.ts'
import { storeFigures } from './store-figures.ts'
import type { VerificationRequest, VerificationResult } from './verification.ts'

/**
 * Opens the database with nothing but its location, times point reads while every cache is empty, and reads all of
 * it. `nowMs` is a monotonic clock.
 */
export async function verifyFlights(
  request: VerificationRequest,
  progress: ProgressOutput,
  nowMs: () => number,
): Promise<VerificationResult> {
  const openStartMs = nowMs()
  const db = await openFlights(request.location, request.localFolder)
  try {
    const openMs = nowMs() - openStartMs
    const openRequests = storeFigures(db).requests

    // Every fifth sample: they are far apart, so that hardly any two of them share a block and each read is cold.
    const keys = request.sampleKeys.filter((_, i) => i % 5 === 0)
    const coldReads = await timePointReads(db, keys, nowMs)
    const coldRequests = storeFigures(db).requests - openRequests
    const hotReads = await timePointReads(db, keys, nowMs)

    const digest = new EntryDigest()
    const bar = new ProgressBar('Reading back', request.expectedRows, progress, nowMs)
    const scanStartMs = nowMs()
    for await (const entries of db.scanBatches({})) {
      for (const [key, value] of entries) digest.add(key, value)
      bar.update(digest.rows)
    }
    const scanMs = nowMs() - scanStartMs
    bar.finish(digest.rows)

    return {
      openMs,
      openRequests,
      coldReads: { ...coldReads, requests: coldRequests },
      hotReads,
      rows: digest.rows,
      digest: digest.toString(),
      scanMs,
      store: storeFigures(db),
      peakRssBytes: process.resourceUsage().maxRSS * 1024,
    }
  } finally {
    await db.close()
  }
}
