import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { buildCli } from '../cli/run-script.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/**
 * Runs programs in processes of their own, on the package as it is built: with worker threads and with `gc()`. A program is
 * the text of a module; its first argument is a folder for its data, and what it prints is one line of JSON.
 */
export class BuiltPrograms {
  readonly #folder: string
  #count = 0

  private constructor(folder: string) {
    this.#folder = folder
  }

  static async prepare(): Promise<BuiltPrograms> {
    await buildCli()
    // Where a program finds the package.
    return new BuiltPrograms(mkdtempSync(join(root, 'node_modules', '.moraine-programs-')))
  }

  folder(): string {
    return mkdtempSync(join(this.#folder, 'data-'))
  }

  async run<Result>(program: string, folder: string = this.folder(), ...args: string[]): Promise<Result> {
    const child = this.#start(program, folder, args)
    const parts: [Buffer[], Buffer[]] = [[], []]
    child.stdout?.on('data', (part: Buffer) => parts[0].push(part))
    child.stderr?.on('data', (part: Buffer) => parts[1].push(part))
    const [code] = (await once(child, 'close')) as [number | null]
    expect([Buffer.concat(parts[1]).toString(), code]).toEqual(['', 0])
    return JSON.parse(Buffer.concat(parts[0]).toString()) as Result
  }

  /** Kills the program (-9) as soon as it has printed something. */
  async runAndKill(program: string, folder: string, ...args: string[]): Promise<void> {
    const child = this.#start(program, folder, args)
    const closed = once(child, 'close')
    if (child.stdout !== null) await Promise.race([once(child.stdout, 'data'), closed])
    child.kill('SIGKILL')
    expect((await closed)[1]).toBe('SIGKILL')
  }

  dispose(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #start(program: string, folder: string, args: readonly string[]): ChildProcess {
    const path = join(this.#folder, `program-${++this.#count}.mjs`)
    writeFileSync(path, program)
    return spawn(process.execPath, ['--expose-gc', path, folder, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  }
}
