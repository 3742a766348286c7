import { restrictFile, type TableFile } from '../manifest/table-file.ts'
import { filesOf, type Version } from '../manifest/version.ts'
import type { LeveledFile, VersionEdit } from '../manifest/version-edit.ts'
import type { CompactionPlan } from './compaction-plan.ts'

/** The inputs of a compaction as they stand in the version: whole at first, shorter with every step that is published. */
export class CompactionInputs {
  readonly #outputLevel: number
  #left: readonly LeveledFile[]

  constructor(plan: CompactionPlan) {
    this.#outputLevel = plan.outputLevel
    this.#left = plan.inputs.flatMap(({ level, files }) => files.map((file) => ({ level, file })))
  }

  /**
   * The step that puts `outputs` in the place of everything the inputs hold before `mergedTo` (undefined: of everything):
   * its edit, and what to do when that is committed. `committed` returns the tables that have left the version for good.
   */
  step(
    outputs: readonly TableFile[],
    mergedTo: Uint8Array | undefined,
  ): { readonly edit: VersionEdit; readonly committed: (version: Version) => TableFile[] } {
    const before = this.#left
    const left = mergedTo === undefined ? [] : before.flatMap((input) => cut(input, mergedTo))
    const [was, is] = [new Set(before.map(({ file }) => file)), new Set(left.map(({ file }) => file))]
    const edit = {
      removed: before.filter(({ file }) => !is.has(file)),
      added: [...left.filter(({ file }) => !was.has(file)), ...outputs.map((file) => ({ level: this.#outputLevel, file }))],
    }
    const committed = (version: Version): TableFile[] => {
      this.#left = left
      // Of a table that was cut, or that came back in two parts, another part may still be there.
      const present = new Set([...filesOf(version)].map(({ id }) => id))
      return edit.removed.map(({ file }) => file).filter(({ id }) => !present.has(id))
    }
    return { edit, committed }
  }
}

function cut({ level, file }: LeveledFile, gte: Uint8Array): LeveledFile[] {
  const rest = restrictFile(file, { gte })
  return rest === undefined ? [] : [{ level, file: rest }]
}
