import type { StateDescriptor } from '../descriptor/descriptor.ts'
import { stateIdOf } from '../state-key/state-key.ts'
import type { BackendTime } from '../ttl/backend-time.ts'
import { ValueFormat } from '../ttl/value-format.ts'
import { AggregatingState } from './aggregating-state.ts'
import { ListCells } from './list-cells.ts'
import { ListState } from './list-state.ts'
import { MapCells } from './map-cells.ts'
import { MapState } from './map-state.ts'
import { ReducingState } from './reducing-state.ts'
import type { StateHost } from './state-host.ts'
import type { ScannedState } from './state-scan.ts'
import { ValueCells } from './value-cells.ts'
import { ValueState } from './value-state.ts'

export type AnyState<Key> =
  | ValueState<Key, unknown>
  | ListState<Key, unknown>
  | MapState<Key, unknown, unknown>
  | ReducingState<Key, unknown>
  | AggregatingState<Key, unknown, unknown, unknown>

/** A state of a backend: what it was described with, how scans see it, and what callers get. */
export interface RegisteredState<Key> {
  readonly descriptor: StateDescriptor
  readonly scanned: ScannedState & { readonly home: object }
  readonly state: AnyState<Key>
}

/** What scans need of a state. */
export function scannedState(descriptor: StateDescriptor, time: BackendTime): ScannedState {
  return {
    stateId: stateIdOf(descriptor.name),
    stateName: descriptor.name,
    kind: descriptor.kind,
    format: new ValueFormat<unknown>(descriptor, time),
    separated: descriptor.separateLargeValues === true,
    mapKeyCodec: descriptor.kind === 'map' ? descriptor.keyCodec : undefined,
  }
}

export function makeState<Key>(host: StateHost<Key>, descriptor: StateDescriptor): RegisteredState<Key> {
  const scanned = scannedState(descriptor, host.time)
  // The engine has to know what is special about the keyspace before anything is written to it.
  host.spaceOf(scanned.separated)
  switch (descriptor.kind) {
    case 'list': {
      const cells = new ListCells<Key, unknown>(host, scanned)
      return { descriptor, scanned: cells.scanned, state: new ListState(cells) }
    }
    case 'map': {
      const cells = new MapCells<Key, unknown, unknown>(host, scanned)
      return { descriptor, scanned: cells.scanned, state: new MapState(cells) }
    }
    case 'value': {
      const cells = new ValueCells<Key, unknown>(host, scanned)
      return { descriptor, scanned: cells.scanned, state: new ValueState(cells) }
    }
    case 'reducing': {
      const cells = new ValueCells<Key, unknown>(host, scanned)
      return { descriptor, scanned: cells.scanned, state: new ReducingState(cells, (a, b) => descriptor.reduce(a, b)) }
    }
    case 'aggregating': {
      const cells = new ValueCells<Key, unknown>(host, scanned)
      return { descriptor, scanned: cells.scanned, state: new AggregatingState(cells, descriptor) }
    }
  }
}
