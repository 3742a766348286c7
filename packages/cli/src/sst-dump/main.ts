#!/usr/bin/env node
import { runProgram } from '../terminal/run-program.ts'
import { sstDump } from './sst-dump.ts'

await runProgram('sst-dump', sstDump)
