import type { Codec, KeyedStateBackend, Sink, Timer } from '@moraine/keyed-state'
import type { JsonValue } from 'moraine'
import type { Source } from './source.ts'

/** A sink that takes rows, and shows them when the checkpoint after them is complete. */
export interface OutputSink extends Sink {
  write(row: JsonValue): void
}

/** What a process function has to work with. */
export interface JobContext<Key> {
  /** States and timers of the keys that this instance holds; its watermark. */
  readonly state: KeyedStateBackend<Key>
  /** Writes a row to the sink of that name. */
  emit(output: string, row: JsonValue): void
}

/** What happens to records and timers. One instance runs many keys at a time, and one key's records in their order. */
export interface ProcessFunction<In, Key> {
  process(record: In): unknown
  /**
   * Event timers fire between rounds, one after another in the order of time; processing timers as time goes by, in turn with the
   * records of their key. At the end of the source the watermark goes to END_OF_TIME: a timer that sets the next one stops there.
   */
  onTimer?(timer: Timer<Key>): void | Promise<void>
}

/** A stream job with one operator: records in, keyed state, rows out. */
export interface Job<In, Key> {
  readonly source: Source<In>
  readonly keyCodec: Codec<Key>
  /** How many milliseconds a record may be behind the greatest time of its partition and still not be late. */
  readonly outOfOrdernessMs: number
  keyOf(record: In): Key
  /** Event time, whole milliseconds. */
  timeOf(record: In): number
  /** Called for every instance at every start: declares states and gives back what works on them. */
  open(context: JobContext<Key>): ProcessFunction<In, Key>
}
