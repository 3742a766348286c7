/** Picks one of `count` possibilities, 0 to count - 1. */
export type Choose = (count: number) => number

/**
 * Runs `run` once for every sequence of choices that it can make: depth first, the last choice changing fastest. `run`
 * must do the same things whenever it gets the same answers. Resolves to the number of runs; rejects with the first
 * failure, whose message then names the choices that led to it, and when there are more than `limit` sequences.
 */
export async function everySchedule(run: (choose: Choose) => Promise<void>, limit: number): Promise<number> {
  const path: { choice: number; count: number }[] = []
  for (let runs = 1; ; runs++) {
    let depth = 0
    const choose: Choose = (count) => {
      const at = depth++
      const step = path[at]
      if (step === undefined) {
        path.push({ choice: 0, count })
        return 0
      }
      if (step.count !== count) throw new Error(`choice ${at} was among ${step.count}, now among ${count}: the run is not repeatable`)
      return step.choice
    }
    try {
      await run(choose)
    } catch (error) {
      throw new Error(`schedule ${path.map(({ choice }) => choice).join('')}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      })
    }
    path.length = depth
    for (;;) {
      const last = path.at(-1)
      if (last === undefined) return runs
      if (last.choice + 1 < last.count) {
        last.choice++
        break
      }
      path.pop()
    }
    if (runs >= limit) throw new Error(`more than ${limit} schedules`)
  }
}
