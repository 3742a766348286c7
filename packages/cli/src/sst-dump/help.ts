export const sstDumpHelp: string = `sst-dump <file, folder or URL>... [options]

Shows what is inside of the sorted table files of a Moraine database, or of RocksDB (block-based tables, format
versions 2 to 5). Reads by range, so that looking at a table in a bucket does not download it.

  a file             data/sst/000000000001-5f0c....sst
  a folder           every table of a database, or every *.sst in the folder
  a URL              file:///folder, s3://bucket/prefix, s3://bucket/prefix/sst/000000000001-5f0c....sst, with
                     ?endpoint=http://127.0.0.1:9000 for another server than AWS; credentials and region are found
                     as the AWS SDK finds them

Commands
  --command=properties   what the table says of itself (default); of a folder, a line for each table and a total
  --command=scan         every entry: 'key' seq:7, type:put => 'value'; range tombstones first, as
                         'first key' seq:9, type:delete-range => 'end, excluded'
  --command=check        reads everything and verifies it: checksums, order, counts, key range, index, filter
  --command=blocks       a line for each data block: offset, sizes, entries, first and last key; range tombstones
                         have a block of their own, 'ranges'
  --command=raw          each block of the range with all its entries as they are encoded: > marks a restart point,
                         +N is the place in the uncompressed block, then the bytes shared with the key before, and
                         the encoded size = header + key + value (a key here ends in 8 bytes of sequence and type)

Options
  --from=KEY         first key, included            (scan, raw, blocks)
  --to=KEY           end of the range, excluded     (scan, raw, blocks)
  --limit=N          stop after N entries (blocks: after N blocks), counted over all tables
  --reverse          from the last entry to the first (scan)
  --hex              print keys and values as 0x..., and take KEY in that form, too
  --json             for programs: one document (properties, check), or one JSON object a line (scan, raw, blocks)
  -h, --help         this text
  --version

Keys and values are printed as text with \\xNN for bytes that are not printable ASCII; KEY takes the same form.
The tables of a folder are shown one after another, each in its own order: they are not merged.

Exit codes: 0 fine, 1 a problem was found (damage, a table that cannot be read, no access), 2 a wrong command line.
`
