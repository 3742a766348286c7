import { spawn } from 'node:child_process'
import { access, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * Shows one table file of the database with `scripts/sst-dump`: its properties and first entries. Only for a database
 * in a folder, where finding a file needs nothing but the file system.
 */
export async function showTable(location: string, print: (text: string) => void): Promise<void> {
  const program = fileURLToPath(new URL('../../../../scripts/sst-dump', import.meta.url))
  if (!location.startsWith('file:') || !(await exists(program))) return
  const folder = join(fileURLToPath(location), 'sst')
  const name = (await readdir(folder)).find((file) => file.endsWith('.sst'))
  if (name === undefined) return
  print(`\nOne table, as scripts/sst-dump shows it: ${name}`)
  for (const args of [['--command=properties'], ['--command=scan', '--limit=5']]) {
    const output = await run(program, [join(folder, name), ...args])
    print(output.trimEnd().replace(/^/gm, '  '))
  }
}

function run(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const output: Buffer[] = []
    child.stdout.on('data', (part: Buffer) => output.push(part))
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0) resolve(Buffer.concat(output).toString())
      else reject(new Error(`scripts/sst-dump ${args.join(' ')} ended with code ${code}`))
    })
  })
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
