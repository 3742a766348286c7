import { runProgram } from '../runner/program.ts'
import { attribution } from './attribution.ts'

process.exitCode = await runProgram(attribution, process)
