#!/usr/bin/env node
// npm links a program when it installs the package, which in a checkout is before anything is built.
import { existsSync } from 'node:fs'

const main = new URL('../dist/moraine/main.js', import.meta.url)
if (existsSync(main)) {
  await import(main.href)
} else {
  console.error('moraine is not built yet: run npm run build in the checkout first')
  process.exitCode = 2
}
