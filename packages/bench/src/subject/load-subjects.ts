import { loadClassicLevel } from './classic-level-subject.ts'
import { loadMoraine } from './moraine-subject.ts'
import { loadSlateDb } from './slatedb-subject.ts'
import type { MissingSubject, Subject } from './subject.ts'

/**
 * Moraine first, then its peers. A peer is a native module that may be absent or refuse to load on a platform; then
 * the report says so in its column and the run goes on.
 */
export async function loadSubjects(): Promise<(Subject | MissingSubject)[]> {
  return Promise.all([
    loadMoraine(),
    loadOrExplain('classic-level', loadClassicLevel),
    loadOrExplain('slatedb', loadSlateDb),
  ])
}

export async function loadOrExplain(name: string, load: () => Promise<Subject>): Promise<Subject | MissingSubject> {
  try {
    return await load()
  } catch (error) {
    return { name, missing: (error as Error).message.split('\n')[0] as string }
  }
}
