import { fork } from 'node:child_process'
import type { Progress } from '../harness/run-job.ts'

/** What a life tells the process that has started it. */
export type LifeMessage = { readonly progress: Progress }

/**
 * Starts a program again and again, each time with a number of records after which it kills itself, until it ends by itself.
 * A life that has not got as far as its first checkpoint gives the next one twice as many records. Resolves to the number of
 * lives that were cut off.
 */
export async function crashLoop(program: string, args: readonly string[], crashEvery: number, onProgress: (progress: Progress) => void): Promise<number> {
  let fruitless = 0
  let checkpointsBefore = 0
  for (let kills = 0; ; kills++) {
    let checkpoints = 0
    const signal = await oneLife(program, [...args, '--live-records', String(crashEvery * 2 ** fruitless)], (progress) => {
      checkpoints = progress.checkpoints
      onProgress({ ...progress, checkpoints: checkpointsBefore + checkpoints })
    })
    checkpointsBefore += checkpoints
    if (signal === null) return kills
    if (signal !== 'SIGKILL') throw new Error(`the job was ended by ${signal}`)
    fruitless = checkpoints > 0 ? 0 : fruitless + 1
  }
}

/** The signal that has ended it; null: it has done its work. */
function oneLife(program: string, args: readonly string[], onProgress: (progress: Progress) => void): Promise<NodeJS.Signals | null> {
  return new Promise((resolve, reject) => {
    const child = fork(program, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    child.on('message', (message) => onProgress((message as LifeMessage).progress))
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code === null || code === 0) resolve(signal)
      else reject(new Error(`the job failed with exit code ${code}`))
    })
  })
}
