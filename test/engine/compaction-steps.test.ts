// Invariant: a compaction that is killed at any store call loses nothing, and what it had published in steps stays: the
// next one goes on where the last step ended and never builds those tables again. What it had not is not in the way.
import { MemoryObjectStore, PrefixedObjectStore } from '@moraine/object-store'
import { systemClock, systemRandom } from '@moraine/base'
import { type Cut, CutObjectStore } from '@moraine/testing'
import { type Db, open, type OpenOptions } from 'moraine'
import { type Manifest, ManifestStore } from 'moraine/inspect'
import { describe, expect, test } from 'vitest'
import { contents, QUIET } from './subject.ts'

const PREFIX = 'db'

/** Level 1 takes everything, so the only compactions are those of level 0 into it. */
const ROOMY: OpenOptions = { ...QUIET, levelBaseSizeBytes: 1 << 30, compression: 'none' }
const COMPACTING: OpenOptions = { ...ROOMY, level0CompactionTrigger: 2, level0StopTrigger: 1001 }

/** Four overlapping tables of level 0 with overwritten and deleted keys, and what they hold together. */
async function filled(store: MemoryObjectStore): Promise<Record<string, string>> {
  const db = await open({ store, prefix: PREFIX }, ROOMY)
  for (let round = 0; round < 4; round++) {
    for (let i = round; i < 240; i += round + 1) {
      const key = `key-${String((i * 7) % 240).padStart(4, '0')}`
      if ((i + round) % 5 === 0) await db.delete(key)
      else await db.put(key, `${round}:${i}:`.padEnd(400, String.fromCharCode(97 + ((i * 31 + round) % 26)) + i))
    }
    await db.flush()
  }
  const all = await contents(db)
  await db.close()
  return all
}

async function manifestOf(store: MemoryObjectStore): Promise<Manifest> {
  const options = { clock: systemClock, random: systemRandom }
  return (await new ManifestStore(new PrefixedObjectStore(store, PREFIX), options).readNewest()) as Manifest
}

const idsOf = (manifest: Manifest, level: number): string[] => (manifest.version.levels[level] ?? []).map(({ id }) => id)

/** Resolves when the compaction of level 0 is over, or its process is gone. */
async function compacted(db: Db, gone: () => boolean = () => false): Promise<void> {
  while ((db.stats().levels[0]?.files ?? 0) > 0 && !gone()) await new Promise((resolve) => setTimeout(resolve, 1))
}

/** Opens and compacts in a process that dies at a store call; false when it needed fewer. */
async function killed(store: MemoryObjectStore, cut: Cut): Promise<boolean> {
  const dying = new CutObjectStore(store, cut)
  const life = open({ store: dying, prefix: PREFIX }, COMPACTING).then((db) => compacted(db, () => dying.wasCut))
  await Promise.race([dying.reached, life])
  const { wasCut } = dying
  dying.bury()
  await life.catch(() => {})
  return wasCut
}

describe('a compaction killed at each of its store calls', () => {
  test.each(['before', 'after'] as const)('%s the call', async (when) => {
    let resumed = 0
    for (let n = 1; ; n++) {
      const store = new MemoryObjectStore()
      const wanted = await filled(store)
      const died = await killed(store, { call: n, when })
      const left = await manifestOf(store)
      const published = idsOf(left, 1)
      const second = await open({ store, prefix: PREFIX }, COMPACTING)
      expect(await contents(second)).toEqual(wanted)
      await compacted(second)
      expect(await contents(second)).toEqual(wanted)
      await second.close()
      const kept = new Set(idsOf(await manifestOf(store), 1))
      expect(published.filter((id) => !kept.has(id))).toEqual([])
      if (published.length > 0 && idsOf(left, 0).length > 0) resumed++
      if (!died) break
    }
    // Several of the kills came between two steps.
    expect(resumed).toBeGreaterThan(3)
  })
})
