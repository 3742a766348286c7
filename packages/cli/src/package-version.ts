import { readFileSync } from 'node:fs'

/** The version of this package, as its manifest says; the manifest is one folder above sources and build alike. */
export function packageVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
  return manifest.version
}
