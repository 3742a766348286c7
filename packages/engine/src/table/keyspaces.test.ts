// Invariant: what a database remembers of a keyspace is not contradicted, and survives the manifest byte for byte.
import { ByteWriter } from '@moraine/base'
import { describe, expect, test } from 'vitest'
import type { KeyspaceRecord } from '../manifest/keyspace-record.ts'
import { decodeSemantics, encodeSemantics } from '../manifest/semantics-codec.ts'
import type { MergeOperator } from '../merge/merge-operator.ts'
import { append } from '../merge/operators/append.ts'
import { counter } from '../merge/operators/counter.ts'
import { Keyspaces, type KeyspaceSettings, NO_SETTINGS } from './keyspaces.ts'

const own: MergeOperator = { name: 'own', version: 2, merge: (_key, base, operands) => base ?? (operands[0] as Uint8Array) }
const record = (name: string, mergeOperator: MergeOperator | undefined, ttlMs = Infinity): KeyspaceRecord => ({
  name,
  mergeOperator: mergeOperator && { name: mergeOperator.name, version: mergeOperator.version },
  ttlMs,
})
const settings = (more: Partial<KeyspaceSettings>): KeyspaceSettings => ({ ...NO_SETTINGS, ...more })

describe('Keyspaces', () => {
  test('pitfall 28: declarations that contradict what is remembered are refused, and change nothing', () => {
    const keyspaces = new Keyspaces([record('a', append), record('b', own), record('c', undefined, 500)])
    const before = keyspaces.records
    const declare = (name: string, mergeOperator: MergeOperator | undefined): void => keyspaces.declare(name, settings({ mergeOperator }))
    expect(() => declare('a', counter)).toThrow("'append' version 1, not 'counter'")
    expect(() => declare('a', { ...append, version: 2 })).toThrow('not')
    expect(() => declare('b', undefined)).toThrow('not given')
    expect(() => declare('b', { ...own, version: 1 })).toThrow('version 2')
    expect(keyspaces.records).toBe(before)
    declare('a', undefined)
    declare('b', own)
    declare('b', undefined)
    expect(keyspaces.records).toBe(before)
    expect(keyspaces.operators.get('a')).toBe(append)
    expect(keyspaces.ttlOf('c')).toBe(500)
  })

  test('a later declaration adds, and one of this process counts like one that is remembered', () => {
    const keyspaces = new Keyspaces([])
    keyspaces.declare('n', settings({ ttlMs: 60 }))
    keyspaces.declare('n', settings({ mergeOperator: counter }))
    keyspaces.declare('n', NO_SETTINGS)
    expect(keyspaces.records).toEqual([record('n', counter, 60)])
    expect(() => keyspaces.declare('n', settings({ mergeOperator: append }))).toThrow('counter')
    keyspaces.declare('n', settings({ ttlMs: Infinity }))
    expect(keyspaces.hasDefaultTtl).toBe(false)
  })

  test('who follows takes over what is new and keeps its own operators', () => {
    const keyspaces = new Keyspaces([record('n', own)])
    keyspaces.declare('n', settings({ mergeOperator: own }))
    keyspaces.follow([record('n', own), record('m', counter, 70)])
    expect([keyspaces.operators.get('n'), keyspaces.operators.get('m')]).toEqual([own, counter])
    expect(keyspaces.ttlOf('m')).toBe(70)
  })

  test('records survive the manifest', () => {
    const semantics = { ttlNowMs: 1_763_000_000_123, keyspaces: [record('', append), record('x'.repeat(64), own, 1), record('plain', undefined)] }
    const writer = new ByteWriter()
    encodeSemantics(writer, semantics)
    const whole = writer.finish()
    expect(decodeSemantics(whole, 'a manifest')).toEqual(semantics)
    for (let end = 0; end < whole.length; end++) {
      expect(() => decodeSemantics(whole.slice(0, end), 'a manifest')).toThrow(expect.objectContaining({ code: 'CORRUPTION' }) as Error)
    }
  })
})
