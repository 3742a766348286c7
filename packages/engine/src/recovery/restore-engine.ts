import { MoraineError } from '@moraine/base'
import type { CheckpointReport } from '../checkpoint/checkpoints.ts'
import type { CheckpointRecord, Manifest } from '../manifest/manifest.ts'
import { originKey } from '../manifest/origin.ts'
import { usedOrigins } from '../manifest/used-origins.ts'
import type { Version } from '../manifest/version.ts'
import type { Engine } from './engine.ts'

/** The engine that runs now, and what is to be told about it. */
export interface Restored {
  readonly engine: Engine
  readonly report: CheckpointReport
}

/**
 * Takes a running database back to a checkpoint. Order, and the reason for each step:
 *
 *   1. Read the checkpoint's manifest. Whatever is wrong with it is found while the database still runs.
 *   2. Stop the engine without flushing: from here on nothing is acknowledged, and what only memory or the log holds is
 *      given up. Snapshots, scans and calls under way end with an error, because their state is no more.
 *   3. Open the database again as the next epoch, with the checkpoint's tables instead of the newest ones: see
 *      `takeOwnership`. The one commit of this opening is the moment of the restore. The new epoch fences what the old
 *      engine may still have under way, and starts a new log (see log-succession.ts).
 *
 * A crash before that commit leaves everything as it was, the log included; after it the database is restored. The
 * checkpoints stay as they were, newer ones too: one can go forward again.
 */
export async function restoreEngine(engine: Engine, idOrName: string, signal: AbortSignal): Promise<Restored> {
  const account = engine.costs.accounts.restore
  const before = account.tally()
  const checkpoint = engine.checkpoints.get(idOrName)
  const { version } = await engine.checkpoints.manifestOf(checkpoint, signal, account)
  engine.ensureOpen()
  // Deleted meanwhile?
  engine.checkpoints.get(checkpoint.id)
  ensureOriginsPinned(version, engine.versions.current, checkpoint)
  const startMs = engine.settings.clock.monotonicMs()
  await engine.discard(restoredError(checkpoint))
  try {
    const { epoch } = engine.versions.current
    const plan = { checkpoint, version, epoch, lastSeq: engine.writes.lastSeq }
    const restored = await engine.reopen(plan, signal)
    const durationMs = engine.settings.clock.monotonicMs() - startMs
    const { id, name } = checkpoint
    return { engine: restored, report: { id, name, manifestId: restored.versions.current.id, durationMs, cost: account.cost(before) } }
  } catch (error) {
    await engine.restoreFailed(error)
    throw error
  }
}

/** Files of other databases are only sure to be there while we pin them. */
function ensureOriginsPinned(version: Version, { origins }: Manifest, checkpoint: CheckpointRecord): void {
  const pinned = new Set(origins.map(({ origin }) => originKey(origin)))
  for (const [key, origin] of usedOrigins(version)) {
    if (pinned.has(key)) continue
    throw new MoraineError(
      'CONFLICT',
      `checkpoint '${checkpoint.name ?? checkpoint.id}' needs files of database ${origin.databaseId}, which this clone has let go of: restore a newer checkpoint`,
      { detail: { checkpoint: checkpoint.id, origin: origin.databaseId } },
    )
  }
}

function restoredError(checkpoint: CheckpointRecord): MoraineError {
  const which = checkpoint.name ?? checkpoint.id
  return new MoraineError(
    'CLOSED',
    `this belongs to the state before the database was restored to checkpoint '${which}'; once restore has resolved, begin it anew on the restored state`,
    { detail: { checkpoint: checkpoint.id } },
  )
}
