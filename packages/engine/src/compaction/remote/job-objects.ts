import { type Clock, type Random, randomHex, utf8Decode, utf8Encode } from '@moraine/base'
import { createExactly, type ObjectStore } from '@moraine/object-store'
import { type JobId, jobObjectName, jobPrefix, parseJobObjectName } from '../../layout/object-names.ts'

/** What stands in the store of a job. */
export interface JobSight {
  /** The newest attempt that was claimed; 0 for none. */
  readonly attempt: number
  /** What the newest attempt's heartbeat said; empty before the first. */
  readonly heartbeat: string
  /** Attempts that have a result. */
  readonly results: readonly number[]
}

export interface JobObjectsOptions {
  /** The database's own prefix; must repeat what failed for a passing reason. */
  readonly store: ObjectStore
  readonly clock: Clock
  readonly random: Random
}

/** The objects under `compaction/<job>/`, by which owner and compactors speak to each other. */
export class JobObjects {
  readonly #options: JobObjectsOptions
  readonly #job: JobId

  constructor(job: JobId, options: JobObjectsOptions) {
    this.#job = job
    this.#options = options
  }

  /** One LIST, and one GET while an attempt is under way. */
  async look(signal?: AbortSignal): Promise<JobSight> {
    let attempt = 0
    const results: number[] = []
    for (const name of await this.#names(signal)) {
      const parsed = parseJobObjectName(name)
      if (parsed?.kind === 'claim') attempt = Math.max(attempt, parsed.attempt)
      if (parsed?.kind === 'result') results.push(parsed.attempt)
    }
    if (attempt === 0 || results.length > 0) return { attempt, heartbeat: '', results }
    const body = await this.#options.store.get(this.#name(attempt, 'heartbeat'), { signal })
    return { attempt, heartbeat: body === undefined ? '' : utf8Decode(body.bytes), results }
  }

  /** Whether the attempt is ours now: of all that try, one gets it. */
  async claim(attempt: number, signal?: AbortSignal): Promise<boolean> {
    const { store, random } = this.#options
    const token = utf8Encode(randomHex(random, 16))
    return (await createExactly(store, this.#name(attempt, 'claim'), token, { ...this.#options, signal })) === 'created'
  }

  /** Says that an attempt lives; each time with another number. */
  async beat(attempt: number, count: number, signal?: AbortSignal): Promise<void> {
    await this.#options.store.put(this.#name(attempt, 'heartbeat'), utf8Encode(String(count)), { signal })
  }

  async putResult(attempt: number, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    await createExactly(this.#options.store, this.#name(attempt, 'result'), bytes, { ...this.#options, signal })
  }

  async readResult(attempt: number, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    return (await this.#options.store.get(this.#name(attempt, 'result'), { signal }))?.bytes
  }

  async deleteAll(signal?: AbortSignal): Promise<void> {
    const names = await this.#names(signal)
    if (names.length > 0) await this.#options.store.deleteMany(names, { signal })
  }

  #name(attempt: number, kind: 'claim' | 'heartbeat' | 'result'): string {
    return jobObjectName(this.#job, attempt, kind)
  }

  async #names(signal: AbortSignal | undefined): Promise<string[]> {
    const names: string[] = []
    let token: string | undefined
    do {
      const page = await this.#options.store.list(jobPrefix(this.#job), { token, signal })
      names.push(...page.objects.map(({ key }) => key))
      token = page.nextToken
    } while (token !== undefined)
    return names
  }
}

/** How long an observer has seen the same, by its own monotonic clock: no two machines need to agree on the time. */
export class Standstill {
  readonly #clock: Clock
  #seen = '0/'
  #sinceMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#sinceMs = clock.monotonicMs()
  }

  /** Takes note of what is seen now; milliseconds since it changed. */
  stillMs({ attempt, heartbeat }: JobSight): number {
    const sight = `${attempt}/${heartbeat}`
    const nowMs = this.#clock.monotonicMs()
    if (sight !== this.#seen) {
      this.#seen = sight
      this.#sinceMs = nowMs
    }
    return nowMs - this.#sinceMs
  }
}
