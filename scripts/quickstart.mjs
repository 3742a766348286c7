// Installs and builds what the quickstart needs and is not there yet, then runs it with the arguments given:
//   npm run quickstart [-- --help]
// Plain JavaScript without dependencies, because it runs before anything is installed or built.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const fromRoot = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url))

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Moraine needs Node 20.19 or newer; this is ${process.version}`)
  process.exit(2)
}

// npm writes this file last, so an installation that was cut short is done again.
const needed = ['.package-lock.json', 'typescript', 'hyparquet', 'hyparquet-compressors', 'vega-datasets', 'moraine']
if (!needed.every((name) => existsSync(fromRoot(`node_modules/${name}`)))) {
  console.error('Installing dependencies (npm ci), once')
  const npm = process.env.npm_execpath
  if (npm === undefined) run('npm', ['ci'], { shell: process.platform === 'win32' })
  else run(process.execPath, [npm, 'ci'])
}

// The compiler knows what is up to date; without changes this takes a moment.
if (!existsSync(fromRoot('packages/examples/dist/flights/main.js'))) console.error('Building (tsc -b), once')
run(process.execPath, [fromRoot('node_modules/typescript/bin/tsc'), '-b', 'packages/examples', 'packages/cli'])

const { status } = spawnSync(
  process.execPath,
  [fromRoot('packages/examples/dist/flights/main.js'), ...process.argv.slice(2)],
  { stdio: 'inherit' },
)
process.exitCode = status ?? 1

/** What these say goes to stderr: stdout belongs to the quickstart, whose output may be JSON. */
function run(command, args, options = {}) {
  const { status: code, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], ...options })
  if (error !== undefined) console.error(error.message)
  if (code !== 0) process.exit(code ?? 1)
}
