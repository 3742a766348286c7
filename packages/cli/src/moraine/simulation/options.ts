import type { KeyDistribution } from 'moraine/inspect'
import { parseCommandLine, wholeNumber } from '../../terminal/command-line.ts'
import { UsageError } from '../../terminal/usage-error.ts'

export interface SimulationOptions {
  readonly style: 'leveled' | 'tiered'
  readonly json: boolean
  readonly keyDistribution: KeyDistribution
  readonly writes: number
  readonly keys: number
  readonly deletePercent: number
  readonly keyBytes: number
  readonly valueBytes: number
  readonly writesPerSecond: number
  readonly compactionBytesPerSecond: number
  readonly seed: number
  readonly samples: number
  /** Options of `open`, as far as they were given; checked there. */
  readonly engine: Readonly<Record<string, number | undefined>>
  /** Options of the tiered style, as far as they were given. */
  readonly tiered: Readonly<Record<string, number | undefined>>
}

const DISTRIBUTIONS: readonly KeyDistribution[] = ['uniform', 'zipf', 'sequential', 'queue']

/** More keys than this do not fit into one hash set; larger values simulate as much data. */
const WRITES_MOST = 10_000_000

/** The options of `moraine simulate-compaction`, or what to print instead. */
export function parseSimulationOptions(args: readonly string[]): SimulationOptions | 'help' {
  const text = { type: 'string' } as const
  const { values, positionals } = parseCommandLine(args, {
    'style': text,
    'writes': text,
    'keys': text,
    'key-distribution': text,
    'deletes': text,
    'key-size': text,
    'value-size': text,
    'rate': text,
    'merge-rate': text,
    'memtable-size': text,
    'file-size': text,
    'level-base-size': text,
    'level-multiplier': text,
    'level0-trigger': text,
    'level0-stop': text,
    'size-ratio': text,
    'min-merge-width': text,
    'max-merge-width': text,
    'max-sorted-runs': text,
    'space-amplification': text,
    'tombstones': text,
    'seed': text,
    'samples': text,
    'json': { type: 'boolean' },
    'help': { type: 'boolean', short: 'h' },
  } as const)
  if (values.help === true) return 'help'
  if (positionals.length > 0) throw new UsageError(`simulate-compaction takes options only, not '${positionals[0]}'`)
  const style = values.style ?? 'leveled'
  if (style !== 'leveled' && style !== 'tiered') throw new UsageError(`--style is leveled or tiered, not '${style}'`)
  const tiered = {
    sizeRatioPercent: wholeNumber(values['size-ratio'], 'size-ratio', 0),
    minMergeWidth: wholeNumber(values['min-merge-width'], 'min-merge-width', 2),
    maxMergeWidth: wholeNumber(values['max-merge-width'], 'max-merge-width', 2),
    maxSortedRuns: wholeNumber(values['max-sorted-runs'], 'max-sorted-runs', 2),
    spaceAmplificationPercent: wholeNumber(values['space-amplification'], 'space-amplification', 10),
  }
  if (style === 'leveled' && Object.values(tiered).some((value) => value !== undefined)) {
    throw new UsageError('--size-ratio, --min-merge-width, --max-merge-width, --max-sorted-runs and --space-amplification go with --style=tiered')
  }
  const bounded = (given: string | undefined, option: string, least: number, most: number, normal: number): number => {
    const value = wholeNumber(given, option, least) ?? normal
    if (value > most) throw new UsageError(`--${option} is at most ${most}; larger values (--value-size) simulate as much data`)
    return value
  }
  return {
    style,
    json: values.json ?? false,
    keyDistribution: distribution(values['key-distribution'] ?? 'uniform'),
    writes: bounded(values.writes, 'writes', 1, WRITES_MOST, 1_000_000),
    keys: bounded(values.keys, 'keys', 1, WRITES_MOST, 500_000),
    deletePercent: percent(values.deletes),
    keyBytes: size(values['key-size'], 'key-size') ?? 20,
    valueBytes: size(values['value-size'], 'value-size') ?? 10_000,
    writesPerSecond: wholeNumber(values.rate, 'rate', 1) ?? 1000,
    compactionBytesPerSecond: size(values['merge-rate'], 'merge-rate') ?? 100_000_000,
    seed: wholeNumber(values.seed, 'seed', 0) ?? 1,
    samples: wholeNumber(values.samples, 'samples', 1) ?? 12,
    engine: {
      memtableSizeBytes: size(values['memtable-size'], 'memtable-size'),
      targetFileSizeBytes: size(values['file-size'], 'file-size'),
      levelBaseSizeBytes: size(values['level-base-size'], 'level-base-size'),
      levelSizeMultiplier: wholeNumber(values['level-multiplier'], 'level-multiplier', 2),
      level0CompactionTrigger: wholeNumber(values['level0-trigger'], 'level0-trigger', 1),
      level0StopTrigger: wholeNumber(values['level0-stop'], 'level0-stop', 1),
      compactionTombstonePercent: wholeNumber(values.tombstones, 'tombstones', 0),
    },
    tiered,
  }
}

function distribution(text: string): KeyDistribution {
  const found = DISTRIBUTIONS.find((name) => name === text)
  if (found === undefined) throw new UsageError(`--key-distribution is ${DISTRIBUTIONS.join(', ')}, not '${text}'`)
  return found
}

function percent(text: string | undefined): number {
  const value = wholeNumber(text, 'deletes', 0) ?? 0
  if (value > 100) throw new UsageError(`--deletes takes a percentage, not '${text}'`)
  return value
}

const UNITS: Readonly<Record<string, number>> = { '': 1, 'kB': 1e3, 'MB': 1e6, 'GB': 1e9, 'KiB': 2 ** 10, 'MiB': 2 ** 20, 'GiB': 2 ** 30 }

/** A size in bytes, with or without a unit; at least one byte. */
function size(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined
  const [, digits = '', unit = ''] = /^(\d+)([A-Za-z]*)$/.exec(text) ?? []
  const bytes = Number(digits) * (UNITS[unit] ?? Number.NaN)
  if (digits === '' || !(bytes >= 1) || !Number.isSafeInteger(bytes)) {
    throw new UsageError(`--${option} takes a size like 4096, 64kB or 32MiB, not '${text}'`)
  }
  return bytes
}
