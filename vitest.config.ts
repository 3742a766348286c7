import { configDefaults, defineConfig } from 'vitest/config'

// A test file whose name says s3 needs a real S3 server. They are a project of their own, so that the server starts only
// when one of them is selected: `vitest run packages/base` stays as fast as its tests.
const S3_SUITES = ['**/*.s3.test.ts', '**/s3.test.ts', 'test/**/*s3*.test.ts']

// The AWS SDK would print seven lines about the Node versions of 2027 into every worker's output.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true'

// Tests run the TypeScript sources of every package (the `moraine-source` export condition), so that a test and the
// package it imports always share one copy of each module.
export default defineConfig({
  resolve: { conditions: ['moraine-source'] },
  ssr: { resolve: { conditions: ['moraine-source'], externalConditions: ['moraine-source'] } },
  // Global setup files run in an environment of vitest's own, which does not inherit the conditions above.
  environments: { __vitest__: { resolve: { conditions: ['moraine-source'] } } },
  test: {
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: 'forks',
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts', 'test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...S3_SUITES],
        },
      },
      {
        extends: true,
        test: {
          name: 's3',
          include: S3_SUITES,
          exclude: [...configDefaults.exclude, '**/dist/**'],
          globalSetup: ['test/setup/s3-server.ts'],
        },
      },
    ],
  },
})
