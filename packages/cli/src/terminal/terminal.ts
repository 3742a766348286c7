import type { Clock } from '@moraine/base'
import type { TextOutput } from './text-output.ts'

/** Where remarks and progress go: `process.stderr`, or anything like it. */
export interface RemarkOutput {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

/** What a command may touch of the process that it runs in. */
export interface Terminal {
  /** Results, and nothing else: a program may be reading. */
  readonly output: TextOutput
  readonly remarks: RemarkOutput
  readonly clock: Clock
}
