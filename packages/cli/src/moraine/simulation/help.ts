export const simulationHelp: string = `moraine simulate-compaction [options]

Carries out what the compaction pickers would do over a synthetic load, on tables that hold keys alone: no bucket, no files,
no waiting. The same options give the same figures.

The load
  --writes=N              puts and deletes, at most 10,000,000 (1,000,000)
  --keys=N                different keys, of uniform and zipf (500,000)
  --key-distribution=D    uniform; zipf: few keys get most writes; sequential: every put at the end of the key space;
                          queue: the same, and deletes take the oldest key
  --deletes=P             percent of the writes (0)
  --key-size=B  --value-size=B    (20, 10000); large values simulate much data with few keys
  --rate=N                writes a second (1000)
  --merge-rate=B          input that compaction merges a second (100MB)
  --seed=N                (1)

The tree, with the defaults of open()
  --style=S               leveled or tiered (leveled)
  --memtable-size=B  --file-size=B  --level0-trigger=N  --level0-stop=N  --tombstones=P
  --level-base-size=B  --level-multiplier=N                                              leveled
  --size-ratio=P  --min-merge-width=N  --max-merge-width=N  --max-sorted-runs=N  --space-amplification=P    tiered

Output
  --samples=N             lines of the picture over time (12)
  --json                  one document

Sizes take kB, MB, GB, KiB, MiB and GiB.
`
