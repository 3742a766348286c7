// Invariant: the quickstart only ever empties its own default folder; a place that holds anything else is refused.
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { belowLocation, prepareWorkplace } from './location.ts'
import { parseQuickstartOptions, UsageError } from './options.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quickstart-location-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

function optionsFor(location: string, ...more: string[]): ReturnType<typeof parseQuickstartOptions> {
  return parseQuickstartOptions(['--location', location, ...more])
}

describe('quickstart location', () => {
  it('takes a folder that is empty or absent and leaves it in place at the end', async () => {
    for (const name of ['.', 'new']) {
      const location = pathToFileURL(join(folder, name)).href
      const workplace = await prepareWorkplace(optionsFor(location), 'run-1')
      expect(workplace.location).toBe(location)
      expect(workplace.emptiedFolder).toBeUndefined()
      await mkdir(join(folder, name), { recursive: true })
      await workplace.dispose()
      expect(await readdir(join(folder, name))).toEqual([])
    }
  })

  it('refuses a folder that holds something, untouched, unless it may use a prefix of its own', async () => {
    await writeFile(join(folder, 'precious.txt'), 'keep me')
    const location = pathToFileURL(folder).href
    await expect(prepareWorkplace(optionsFor(location), 'run-1')).rejects.toThrow(UsageError)
    await expect(prepareWorkplace(optionsFor(location), 'run-1')).rejects.toThrow("holds 'precious.txt'")
    const workplace = await prepareWorkplace(optionsFor(location, '--new-prefix'), 'run-1')
    expect(workplace.location).toBe(`${location}/run-1`)
    await workplace.dispose()
    expect(await readdir(folder)).toEqual(['precious.txt'])
  })

  it('puts a prefix before the parameters of a bucket', () => {
    expect(belowLocation('s3://bucket/a/?endpoint=http://127.0.0.1:9000', 'run-1')).toBe(
      's3://bucket/a/run-1?endpoint=http://127.0.0.1:9000',
    )
    expect(belowLocation('s3://bucket', 'run-1')).toBe('s3://bucket/run-1')
  })
})
