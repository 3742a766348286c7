export { onAbort } from './async/abort-listeners.ts'
export { type AtLimit, type CallLimits, hasLimits, limitCall, passOn, stopWaitingWhile } from './async/call-limits.ts'
export { Deferred } from './async/deferred.ts'
export { SerialQueue } from './async/serial-queue.ts'
export { timeSlices } from './async/time-slices.ts'
export { WaitList } from './async/wait-list.ts'
export { ByteReader } from './bytes/byte-reader.ts'
export { ByteWriter } from './bytes/byte-writer.ts'
export { commonPrefixLength, compareBytes, compareRanges, equalBytes, prefixSuccessor } from './bytes/compare.ts'
export { concatBytes } from './bytes/concat.ts'
export { copyRange } from './bytes/copy-range.ts'
export { fromHex, printableBytes, toHex, utf8Decode, utf8Encode } from './bytes/text.ts'
export { crc32c, maskCrc32c, unmaskCrc32c } from './checksum/crc32c.ts'
export { abortError, type Clock, sleep, systemClock, throwIfAborted, type Timer } from './clock/clock.ts'
export {
  isMoraineError,
  MoraineError,
  type MoraineErrorCode,
  type MoraineErrorDetail,
  unreachable,
} from './error/moraine-error.ts'
export { murmur3 } from './hash/murmur3.ts'
export {
  type BudgetedWriter,
  type GivingCache,
  MemoryAccount,
  type MemoryHold,
  type MemtableFigures,
  type SharedMemory,
} from './memory/memory-account.ts'
export { MemoryBudget } from './memory/memory-budget.ts'
export type { MemtableLoad, MemoryLimits } from './memory/memory-policy.ts'
export type { CacheCategory, MemoryBudgetStats, MemoryCategory, MemoryUse } from './memory/memory-use.ts'
export { type Random, randomHex, SeededRandom, systemRandom } from './random/random.ts'
