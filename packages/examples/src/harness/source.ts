/**
 * Where a job's records come from: partitions, each a sequence that can be read again from any place. The place of a record
 * in its partition is its offset, 0 for the first one.
 */
export interface Source<T> {
  readonly partitions: number
  /**
   * The records of a partition from `offset` on, a batch at a time; it ends when the partition does. The job is at rest
   * between batches: there it moves the watermark and takes checkpoints. Where batches end should depend on the offsets only;
   * then it does not show in the results where a job was killed, late records included.
   */
  read(partition: number, offset: number): AsyncIterable<readonly T[]> | Iterable<readonly T[]>
}
