import { relative } from 'node:path'
import {
  DEFAULT_BUCKET,
  ensureBucket,
  missingServerLine,
  type RunningS3Server,
  serverSources,
  startS3Server,
} from '@moraine/testing'
import type { TestProject } from 'vitest/node'

/**
 * Global setup of the vitest project `s3`: it runs only when a test file of that project is selected. It gets a real S3
 * server (`docs/testing.md` says how it chooses), puts its address into the environment, which the test workers inherit,
 * and returns what stops it. Without a server the S3 suites skip themselves; CI fails.
 */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const environment = process.env
  const reasons: string[] = []
  const sources = serverSources(environment)
  for (const source of sources) {
    if (source === 'external') {
      environment['MORAINE_S3_SERVER'] = 'external'
      environment['AWS_REGION'] ||= 'us-east-1'
      await prepareBucket(environment['MORAINE_S3_ENDPOINT'] ?? '')
      return undefined
    }
    const began = performance.now()
    const server = await startS3Server(source).catch((error: unknown) => {
      reasons.push(error instanceof Error ? error.message : String(error))
    })
    if (server === undefined) continue
    pointEnvironmentAt(server)
    await prepareBucket(server.endpoint)
    console.error(`S3 suites run on ${source} at ${server.endpoint} (${Math.round(performance.now() - began)} ms to start)`)
    return server.close
  }

  delete environment['MORAINE_S3_ENDPOINT']
  const suites = (await project.globTestFiles()).testFiles.map((file) => relative(project.config.root, file))
  const line = missingServerLine(suites, reasons)
  if (isCi(environment) && sources.length > 0) throw new Error(line)
  console.error(line)
  return undefined
}

function pointEnvironmentAt(server: RunningS3Server): void {
  const environment = process.env
  environment['MORAINE_S3_SERVER'] = server.kind
  environment['MORAINE_S3_ENDPOINT'] = server.endpoint
  environment['AWS_ACCESS_KEY_ID'] = server.accessKeyId
  environment['AWS_SECRET_ACCESS_KEY'] = server.secretAccessKey
  environment['AWS_REGION'] = 'us-east-1'
  // What a developer's shell says about real accounts must not reach a test: each of these would win over the keys above.
  for (const name of ['AWS_SESSION_TOKEN', 'AWS_PROFILE', 'AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_S3']) delete environment[name]
}

async function prepareBucket(endpoint: string): Promise<void> {
  const bucket = (process.env['MORAINE_S3_BUCKET'] ||= DEFAULT_BUCKET)
  await ensureBucket(endpoint, bucket)
}

function isCi(environment: NodeJS.ProcessEnv): boolean {
  const value = environment['CI'] ?? ''
  return value !== '' && value !== 'false' && value !== '0'
}
