// Runs a program of this checkout in this process, and compiles it first when it has not been. Plain JavaScript without
// dependencies, because it runs before anything is built.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** `path` is that of the built main file, relative to the checkout. */
export async function runBuilt(path) {
  const main = new URL(`../${path}`, import.meta.url)
  if (!existsSync(main)) build()
  await import(main.href)
}

/** What this says goes to stderr: stdout belongs to the program, whose output may be JSON. */
function build() {
  const root = fileURLToPath(new URL('..', import.meta.url))
  const compiler = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url))
  if (!existsSync(compiler)) {
    console.error(`The dependencies are missing: run npm ci in ${root} first`)
    process.exit(2)
  }
  console.error('Building packages/cli (tsc -b), once')
  const { status } = spawnSync(process.execPath, [compiler, '-b', 'packages/cli'], { cwd: root, stdio: ['ignore', 2, 2] })
  if (status !== 0) process.exit(status ?? 1)
}
