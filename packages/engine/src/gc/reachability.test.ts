// Invariant: a plan names nothing that the newest manifest, its checkpoints or a living pin needs, nothing of a newer
// owner, and of the newest owner's only what that owner itself gives up; everything else in the database's folders is in it.
import { describe, expect, test } from 'vitest'
import type { ListedPin } from '../checkpoint/pins.ts'
import type { Epoch, ManifestId } from '../layout/numbers.ts'
import { baseName, type FileId, sstName } from '../layout/object-names.ts'
import type { CheckpointRecord, Manifest } from '../manifest/manifest.ts'
import type { TableFile } from '../manifest/table-file.ts'
import { EMPTY_VERSION } from '../manifest/version.ts'
import { type CollectionFacts, type DataObject, keptManifests, planCollection } from './reachability.ts'

const NOW = 1_000_000_000

function fileId(epoch: number, unique: string): FileId {
  return `${String(epoch).padStart(12, '0')}-${unique.padStart(24, '0')}` as FileId
}

function table(id: FileId): TableFile {
  return {
    id,
    sizeBytes: 100,
    tailOffset: 50,
    tailCrc32c: 0,
    entryCount: 1,
    deletionCount: 0,
    smallestKey: new Uint8Array([1]),
    largestKey: new Uint8Array([2]),
    smallestSeq: 1,
    largestSeq: 1,
    rawBytes: 10,
    createdAtMs: 0,
  }
}

function manifest(id: number, epoch: number, files: readonly FileId[], more: Partial<Manifest> = {}): Manifest {
  const levels = [files.map(table), ...EMPTY_VERSION.levels.slice(1)]
  return {
    id: id as ManifestId,
    epoch: epoch as Epoch,
    token: '',
    databaseId: 'd',
    committedAtMs: 0,
    flushedSeq: 1,
    lastSeq: 1,
    walId: undefined,
    released: false,
    owner: '',
    version: { levels },
    checkpoints: [],
    walEpochs: [],
    origins: [],
    jobs: [],
    keyspaces: [],
    ttlNowMs: 0,
    base: undefined,
    ...more,
  } as Manifest
}

function checkpoint(manifestId: number): CheckpointRecord {
  return { id: `c${manifestId}`, name: undefined, manifestId: manifestId as ManifestId, createdAtMs: 0, expiresAtMs: undefined, metadata: '{}' }
}

function pin(manifestId: number, scope: 'from' | 'only', leaseMs?: number, ageMs = 0): ListedPin {
  const holder = leaseMs === undefined ? ({ kind: 'clone' } as const) : ({ kind: 'lease', leaseMs } as const)
  return { manifestId: manifestId as ManifestId, unique: '', scope, holder, name: `pin/${manifestId}.${scope}.${leaseMs ?? ''}`, lastModifiedMs: NOW - ageMs }
}

function object(id: FileId, ageMs = 10_000, kind: DataObject['kind'] = 'table'): DataObject {
  return { name: kind === 'table' ? sstName(id) : baseName(id), id, kind, sizeBytes: 100, lastModifiedMs: NOW - ageMs }
}

function facts(newest: Manifest, more: Partial<CollectionFacts>): CollectionFacts {
  return { objects: [], log: [], jobObjects: [], unknown: [], newest, pins: [], storeTimeMs: NOW, manifests: [newest.id], roots: [], uploads: [], ...more }
}

const RULES = { graceMs: 1_000, force: false }
const ids = (...numbers: number[]): ManifestId[] => numbers as ManifestId[]

describe('planCollection', () => {
  test('files of the newest manifest and of kept ones stay, others of older epochs go', () => {
    const [now, old, gone] = [fileId(1, 'a'), fileId(1, 'b'), fileId(1, 'c')]
    const newest = manifest(9, 2, [now], { checkpoints: [checkpoint(4)] })
    const plan = planCollection(
      facts(newest, { objects: [now, old, gone].map((id) => object(id)), roots: [manifest(4, 1, [old])], manifests: ids(4, 9) }),
      RULES,
    )
    expect(plan.objects.map(({ id }) => id)).toEqual([gone])
    expect(plan.kept.reachable).toBe(2)
  })

  test('pitfall 36: names of the newest epoch and of later ones are nobody else\'s garbage', () => {
    const newest = manifest(9, 2, [])
    const objects = [1, 2, 3].map((epoch) => object(fileId(epoch, 'a')))
    expect(planCollection(facts(newest, { objects }), RULES).objects.map(({ id }) => id)).toEqual([fileId(1, 'a')])
    const own = planCollection(facts(newest, { objects, owner: { busy: new Set() } }), RULES)
    expect(own.objects.map(({ id }) => id)).toEqual([fileId(1, 'a'), fileId(2, 'a')])
  })

  test('pitfall 3: what the owner has in flight stays however old it is', () => {
    const objects = ['a', 'b'].map((unique) => object(fileId(2, unique), 1e9))
    const owner = { busy: new Set([fileId(2, 'a')]) }
    const plan = planCollection(facts(manifest(9, 2, []), { objects, owner }), { graceMs: 0, force: false })
    expect(plan.objects.map(({ id }) => id)).toEqual([fileId(2, 'b')])
    expect(plan.kept.inUse).toBe(1)
  })

  test('a base object stays with its manifest', () => {
    const base = { id: fileId(1, 'a'), sizeBytes: 100, crc32c: 0 }
    const objects = [object(base.id, 10_000, 'base'), object(fileId(1, 'b'), 10_000, 'base')]
    const plan = planCollection(facts(manifest(9, 2, [], { base }), { objects }), RULES)
    expect(plan.objects.map(({ name }) => name)).toEqual([baseName(fileId(1, 'b'))])
  })

  test('pitfall 10: the grace is measured by the store\'s clock alone', () => {
    const objects = [object(fileId(1, 'a'), 999), object(fileId(1, 'b'), 1_000)]
    const plan = planCollection(facts(manifest(9, 2, [], { committedAtMs: NOW + 3_600_000 }), { objects }), RULES)
    expect(plan.objects.map(({ id }) => id)).toEqual([fileId(1, 'b')])
    expect(plan.kept.young).toBe(1)
  })

  test('more than half of many files needs force, of a few files it does not', () => {
    const many = Array.from({ length: 40 }, (_, i) => object(fileId(1, String(i))))
    expect(planCollection(facts(manifest(9, 2, []), { objects: many }), RULES).objection).toContain('40 of 40')
    expect(planCollection(facts(manifest(9, 2, []), { objects: many }), { ...RULES, force: true }).objection).toBeUndefined()
    expect(planCollection(facts(manifest(9, 2, []), { objects: many.slice(0, 30) }), RULES).objection).toBeUndefined()
  })

  test('pitfall 17: superseded manifests go, but for the last ones, the newest and kept ones', () => {
    const newest = manifest(100, 2, [], { checkpoints: [checkpoint(7)] })
    const existing = Array.from({ length: 100 }, (_, i) => (i + 1) as ManifestId)
    const plan = planCollection(facts(newest, { manifests: existing, pins: [pin(12, 'only'), pin(80, 'from')] }), RULES)
    const left = existing.filter((id) => !plan.manifests.includes(id))
    expect(left).toEqual([7, 12, ...existing.slice(79)])
  })

  test('lapsed leases keep nothing and are deleted', () => {
    const pins = [pin(3, 'only', 1_000, 1_000_000), pin(4, 'only', 1_000), pin(5, 'only')]
    const plan = planCollection(facts(manifest(100, 2, []), { pins, manifests: ids(3, 4, 5, 100) }), RULES)
    expect(plan.manifests).toEqual([3])
    expect(plan.pins).toEqual([pins[0]?.name])
  })

  test('pitfall 32: log segments of former owners go with the last manifest that lists them; fences never', () => {
    const log = [1, 2, 3, 4].flatMap((epoch) =>
      [false, true].map((isFence) => ({ name: `wal/${epoch}-${isFence}`, epoch: epoch as Epoch, sizeBytes: 1, isFence })),
    )
    const newest = manifest(9, 4, [], { walEpochs: [{ epoch: 3 as Epoch, firstSegment: 1 }] })
    const pinned = manifest(5, 2, [], { walEpochs: [{ epoch: 2 as Epoch, firstSegment: 1 }] })
    expect(planCollection(facts(newest, { log, roots: [pinned] }), RULES).log.map(({ name }) => name)).toEqual(['wal/1-false'])
    expect(planCollection(facts(newest, { log }), RULES).log.map(({ name }) => name)).toEqual(['wal/1-false', 'wal/2-false'])
  })

  test('uploads go when they are old enough', () => {
    const uploads = [1_000, 999].map((ageMs) => ({ name: 'sst/x', uploadId: String(ageMs), begunAtMs: NOW - ageMs }))
    expect(planCollection(facts(manifest(9, 2, []), { uploads }), RULES).uploads.map(({ uploadId }) => uploadId)).toEqual(['1000'])
  })
})

describe('keptManifests', () => {
  test('an exact pin keeps one, an open pin every existing one from there on; the newest needs no pin', () => {
    const newest = manifest(9, 2, [], { checkpoints: [checkpoint(2)] })
    const kept = keptManifests(newest, [pin(4, 'only'), pin(6, 'from'), pin(9, 'only')], NOW, ids(1, 2, 3, 4, 5, 6, 8, 9))
    expect([...kept].sort((a, b) => a - b)).toEqual([2, 4, 6, 8])
  })
})
