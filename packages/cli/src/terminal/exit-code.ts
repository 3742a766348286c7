/** How every program of this package ends. */
export const ExitCode = {
  /** Done, and nothing is wrong. */
  ok: 0,
  /** A problem was found, or the work could not be done: damage, a store that refuses, a table that cannot be read. */
  problem: 1,
  /** The command line is wrong: nothing was done. */
  misuse: 2,
} as const
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]
