import { defineConfig } from 'vitest/config'

// Tests run the TypeScript sources of every package (the `moraine-source` export condition), so that a test and the
// package it imports always share one copy of each module.
export default defineConfig({
  resolve: { conditions: ['moraine-source'] },
  ssr: { resolve: { conditions: ['moraine-source'], externalConditions: ['moraine-source'] } },
  test: {
    include: ['packages/*/src/**/*.test.ts', 'test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: 'forks',
  },
})
