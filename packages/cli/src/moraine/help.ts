export const moraineHelp: string = `moraine <command> [arguments] [options]

Looks into a Moraine database without opening it: reads only (but for checkpoint, gc, clone, compactor and destroy), takes
nothing over, and works beside a running writer. blobs, checkpoint, checkpoints, verify, gc, clone, compactor and destroy have a
--help of their own.

  moraine manifest <database>     the newest manifest: epoch, owner, sequence numbers, log, levels
  moraine tree <database>         the table files of every level: sizes, entries, sequence and key ranges
  moraine blobs <database>        the blob files with large values: sizes, and how much of them is in use (--walk)
  moraine wal survey <folder>     whose local write-ahead log a folder holds, and which writes are in it
  moraine wal export <folder>     those writes, oldest first; also of a log that a database refused to replay
  moraine checkpoint <database>   keeps the newest stored state as a checkpoint (--name, --metadata)
  moraine checkpoints <database>  the checkpoints there are (--diff=A,B, --delete=A)
  moraine verify <database>       whether everything the database refers to is there and sound (--deep, --orphans)
  moraine gc <database>           deletes what nothing refers to (--dry-run, --grace, --force)
  moraine clone <source>... <target>
                                  a new database of one or several, nothing copied (--checkpoint, --from, --to)
  moraine compactor <database>    does compactions that the database's owner offers (--once, --poll-ms)
  moraine destroy <database>      deletes a database (--yes, --force)
  moraine simulate-compaction     what the compaction pickers would do over a synthetic load (its own --help)
  sst-dump                        what is inside of table files (a program of its own: sst-dump --help)

  <database>   s3://bucket/prefix, with ?endpoint=http://127.0.0.1:9000 for another server than AWS, file:///folder, or
               the path of a folder. Credentials and region are found as the AWS SDK finds them
  <folder>     a local log folder, as the message of a refusal names it

Options
  --json       for programs: one document; of wal export, one JSON object a line
  --hex        keys and values as 0x...
  --base64     keys and values in base64 (wal export)
  --after=N    only writes above sequence number N (wal survey, wal export); what a manifest calls flushed needs no log
  -h, --help   this text
  --version

Keys and values are printed as text with \\xNN for bytes that are not printable ASCII, unless --hex or --base64 is given.

Exit codes: 0 fine, 1 a problem was found (damage, no access), 2 a wrong command line.
`
