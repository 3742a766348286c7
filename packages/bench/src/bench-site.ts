import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { OpenSettings } from './subject/subject.ts'

/** The folders and store locations of a run; every database gets new ones. */
export class BenchSite {
  readonly #root: string
  readonly #location: string | undefined
  readonly #runName: string
  #count = 0

  private constructor(root: string, location: string | undefined, runName: string) {
    this.#root = root
    this.#location = location
    this.#runName = runName
  }

  /** `location` is the store to use, undefined for a temporary folder; `runName` keeps runs in one bucket apart. */
  static async create(location: string | undefined, runName: string): Promise<BenchSite> {
    return new BenchSite(await mkdtemp(join(tmpdir(), 'moraine-bench-')), location, runName)
  }

  async fresh(durable: boolean): Promise<OpenSettings> {
    const name = `database-${++this.#count}`
    const folder = join(this.#root, name, 'local')
    await mkdir(folder, { recursive: true })
    return { folder, location: this.#locationOf(name), durable }
  }

  /** Deletes what a database left on this machine. */
  async discard(settings: OpenSettings): Promise<void> {
    await rm(join(settings.folder, '..'), { recursive: true, force: true })
  }

  async dispose(): Promise<void> {
    await rm(this.#root, { recursive: true, force: true })
  }

  #locationOf(name: string): string {
    if (this.#location === undefined) return pathToFileURL(join(this.#root, name, 'bucket')).href
    const [path, query] = this.#location.split('?') as [string, string | undefined]
    return `${path.replace(/\/+$/, '')}/${this.#runName}/${name}${query === undefined ? '' : `?${query}`}`
  }
}
