// Invariant: time, timers and randomness come from `packages/base` alone, so that a seeded simulation repeats exactly.
import { describe, expect, test } from 'vitest'
import { packagesOf, sourceFiles, textFiles } from './checkout.ts'
import { determinismViolations } from './determinism.ts'
import { parseSource } from './source-file.ts'

test('this checkout takes time and randomness as arguments', () => {
  const texts = textFiles()
  expect(determinismViolations(sourceFiles(texts), packagesOf(texts))).toEqual([])
})

describe('determinismViolations', () => {
  const cli = { folder: 'cli', name: '@moraine/cli', manifest: { bin: { 'sst-dump': './dist/sst-dump/program.js' } } }
  const check = (text: string, path = 'packages/engine/src/db/db.ts'): string[] =>
    determinismViolations([parseSource(path, text)], [cli])

  test.each([
    ['Date.now()', 'Date.now'],
    ['const now = Date.now', 'Date.now'],
    ["Date['now']()", 'Date.now'],
    ['const now = new Date()', 'new Date()'],
    ['const now = Date()', 'Date()'],
    ['Math.random()', 'Math.random'],
    ['setTimeout(f, 1)', 'setTimeout'],
    ['const clock = { setTimeout }', 'setTimeout'],
    ['run(setInterval)', 'setInterval'],
    ['setImmediate(f)', 'setImmediate'],
    ['globalThis.setTimeout(f, 1)', 'globalThis.setTimeout'],
    ['performance.now()', 'performance'],
    ['globalThis.performance.now()', 'globalThis.performance'],
    ['process.hrtime.bigint()', 'process.hrtime'],
    ['AbortSignal.timeout(5)', 'AbortSignal.timeout'],
    ['crypto.randomUUID()', 'crypto.randomUUID'],
    ['crypto.getRandomValues(bytes)', 'crypto.getRandomValues'],
    ['globalThis.crypto.randomUUID()', 'crypto.randomUUID'],
    ["import * as nodeCrypto from 'node:crypto'\nnodeCrypto.randomBytes(4)", 'crypto.randomBytes'],
    ["import { randomFillSync as fill } from 'node:crypto'", 'crypto.randomFillSync'],
    ["import { setTimeout as sleep } from 'node:timers/promises'", 'node:timers/promises'],
    ["import { createHash } from 'node:crypto'\nimport timers from 'timers'", 'timers'],
  ])('%j is a use of %s', (text, name) => {
    const found = check(text)
    expect(found).toHaveLength(1)
    expect(found[0]).toMatch(/^packages\/engine\/src\/db\/db\.ts:[12] uses /)
    expect(found[0]).toContain(`uses ${name}:`)
  })

  test.each([
    'new Date(0)',
    'Date.UTC(2026, 0)',
    'Date.parse(text)',
    'Math.max(1, 2)',
    'clock.setTimeout(f, 1)',
    'interface Clock { setTimeout(f: () => void): void; performance: number }',
    'class Clock { setTimeout(): void {} }',
    'const clock = { setTimeout: f }',
    'let timer: ReturnType<typeof setTimeout> | undefined',
    'type Timer = typeof setInterval',
    "import { createHash, timingSafeEqual } from 'node:crypto'",
    "import type { webcrypto } from 'node:crypto'",
    '// Date.now()',
    "const text = 'Math.random()'",
    'random.next()',
    'crypto.subtle.digest(name, bytes)',
  ])('%j is none', (text) => {
    expect(check(text)).toEqual([])
  })

  test.each([
    'packages/base/src/clock/clock.ts',
    'packages/base/src/random/random.ts',
    'packages/examples/src/flights/main.ts',
    'packages/cli/src/sst-dump/program.ts',
    'packages/bench/src/workload/put.ts',
    'packages/testing/src/object-store-suite/abort-cases.ts',
    'packages/engine/src/db/db.test.ts',
    'scripts/quickstart.mjs',
    'test/crash.test.ts',
  ])('%s may look at the clock', (path) => {
    expect(check('Date.now()', path)).toEqual([])
  })

  test.each(['packages/testing/src/simulation/world.ts', 'packages/base/src/hash/murmur3.ts', 'packages/cli/src/sst-dump/scan.ts', 'packages/engine/src/domain.ts'])(
    '%s may not',
    (path) => {
      expect(check('Date.now()', path)).toHaveLength(1)
    },
  )
})
