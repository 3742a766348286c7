import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { PointReadTimes } from './point-reads.ts'
import type { StoreFigures } from './store-figures.ts'

/** What the verifying process is told. It gets nothing else: no memory, no log folder, no cache of the loader. */
export interface VerificationRequest {
  readonly location: string
  /** An empty folder for the new process's own log. */
  readonly localFolder: string
  readonly expectedRows: number
  readonly sampleKeys: readonly Uint8Array[]
}

/** What it found. Rows and digest are judged by the process that read the source. */
export interface VerificationResult {
  readonly openMs: number
  readonly openRequests: number
  readonly coldReads: PointReadTimes & { readonly requests: number }
  readonly hotReads: PointReadTimes
  readonly rows: number
  readonly digest: string
  readonly scanMs: number
  readonly store: StoreFigures
  readonly peakRssBytes: number
}

/** Opens the database in a new process that knows nothing but its location, and reads all of it. */
export function verifyInNewProcess(request: VerificationRequest): Promise<VerificationResult> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL('./verifier/main.js', import.meta.url)), {
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    let result: VerificationResult | undefined
    child.on('message', (message) => (result = message as VerificationResult))
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code === 0 && result !== undefined) resolve(result)
      else reject(new Error(`the verifying process failed (${signal ?? `exit code ${code}`})`))
    })
    child.send(request)
  })
}
