export { type EngineOptions, type KeyedStateOptions } from './backend/backend-options.ts'
export { exportSavepoint, type ExportSavepointOptions } from './backend/export-savepoint.ts'
export { importSavepoint, type ImportReport, type ImportSavepointOptions } from './backend/import-savepoint.ts'
export type { KeyedStateBackend, KeyedStateStats, KeyStateEntry, Timers } from './backend/keyed-state-backend.ts'
export { type KeyedStateReader, type KeyedStateReaderOptions, openKeyedStateReader, type ReadCheckpoint } from './backend/keyed-state-reader.ts'
export { openKeyedState } from './backend/open-keyed-state.ts'
export type { Restored } from './backend/restore-point.ts'
export type { StateReader, StateReaderHandle } from './backend/state-reader.ts'
export type { CheckpointOptions, StateCheckpoint } from './checkpoint/checkpointer.ts'
export type { ListedCheckpoint, RestoredSource } from './checkpoint/checkpoint-record.ts'
export { rescaleKeyedState, type RescaledTarget, type RescaleOptions, type RescaleSourceSpec } from './checkpoint/rescale.ts'
export type { Sink } from './checkpoint/sink.ts'
export { bytes } from './codec/bytes-codec.ts'
export type { Codec } from './codec/codec.ts'
export { json } from './codec/json-codec.ts'
export { msgpack } from './codec/msgpack-codec.ts'
export type { Namespace } from './codec/namespace-codec.ts'
export { bigint, float64, int32, int64 } from './codec/number-codecs.ts'
export { utf8 } from './codec/text-codec.ts'
export type { TypedCodec } from './codec/typed-codec.ts'
export {
  type AggregatingDescriptor,
  type AggregatingOptions,
  aggregatingState,
  type ListDescriptor,
  listState,
  type MapDescriptor,
  mapState,
  type ReducingDescriptor,
  type ReducingOptions,
  reducingState,
  type StateDescriptor,
  type StateKind,
  type StateOptions,
  type TtlOption,
  type Upgrade,
  type ValueDescriptor,
  valueState,
} from './descriptor/descriptor.ts'
export { type KeyGroupRange, keyGroupOf } from './key-group/key-group.ts'
export type { AggregatingHandle, AggregatingState } from './state/aggregating-state.ts'
export type { ListHandle, ListState } from './state/list-state.ts'
export type { MapHandle, MapState } from './state/map-state.ts'
export type { ReducingHandle, ReducingState } from './state/reducing-state.ts'
export type { Resident, ValueHandle, ValueState } from './state/value-state.ts'
export type { Timer, TimerDomain, TimerHandler } from './timer/timer.ts'
