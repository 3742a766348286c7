import { collectGarbage, type CollectionPlan } from 'moraine'
import { parseCommandLine } from '../terminal/command-line.ts'
import { durationMs } from '../terminal/duration.ts'
import { ExitCode } from '../terminal/exit-code.ts'
import { counted, formatBytes } from '../terminal/figures.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { onDatabase } from './on-database.ts'

const HELP = `moraine gc <database> [--dry-run] [--grace=15m] [--force] [--json]

Deletes what no manifest, checkpoint or pin of a database needs: files that crashed processes left, superseded manifests,
lapsed leases of readers, log segments of former owners, unfinished uploads. Prints the plan first. Works beside a running
writer, whose own files it leaves alone.

  --dry-run    print the plan and delete nothing
  --grace=T    keep files younger than this by the store's clock (90s, 15m, 2h, 7d); default 15m
  --force      delete even when it is more than half of the files
  --json       for programs: one document with the plan and what was done
`

export async function gc(args: readonly string[], { output }: Terminal): Promise<ExitCode> {
  const { values, positionals } = parseCommandLine(args, {
    'dry-run': { type: 'boolean' },
    grace: { type: 'string' },
    force: { type: 'boolean' },
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  } as const)
  if (values.help === true) {
    await output.line(HELP.trimEnd())
    return ExitCode.ok
  }
  const graceMs = durationMs(values.grace, 'grace')
  const dryRun = values['dry-run'] ?? false
  const print = (plan: CollectionPlan): void => {
    if (values.json !== true) for (const line of planText(plan)) void output.line(line)
  }
  return await onDatabase('gc', positionals, async (location) => {
    const options = { dryRun, force: values.force ?? false, onPlan: print, ...(graceMs !== undefined && { graceMs }) }
    const result = await collectGarbage(location, options)
    if (values.json === true) await output.line(JSON.stringify(result, undefined, 2))
    else await output.line(`${dryRun ? 'Would free' : 'Freed'} ${formatBytes(result.sizeBytes)}`)
    return dryRun && result.plan.objection !== undefined ? ExitCode.problem : ExitCode.ok
  })
}

function planText(plan: CollectionPlan): string[] {
  const { kept } = plan
  return [
    `Garbage, seen from manifest ${plan.newestManifest}, epoch ${plan.epoch}:`,
    ...plan.objects.map(({ name, sizeBytes }) => `  ${name}  ${formatBytes(sizeBytes)}`),
    ...plan.log.map(({ name, sizeBytes }) => `  ${name}  ${formatBytes(sizeBytes)}`),
    ...plan.jobObjects.map((name) => `  ${name}  of a remote compaction that is over`),
    ...plan.pins.map((name) => `  ${name}  lapsed`),
    ...plan.uploads.map(({ name }) => `  ${name}  unfinished upload`),
    `  ${counted(plan.manifests.length, 'superseded manifest')}`,
    `Kept: ${counted(kept.reachable, 'file')} in use, ${kept.young} within the grace period, ${kept.inUse} of the running owner, ` +
      `${counted(kept.manifests, 'manifest')}, ${counted(kept.pins, 'pin')}`,
    ...plan.unknown.map((name) => `Not Moraine's, left alone: ${name}`),
    ...(plan.objection === undefined ? [] : [`Refused without --force: ${plan.objection}`]),
  ]
}
