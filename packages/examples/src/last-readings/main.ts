import { runProgram } from '../runner/program.ts'
import { lastReadings } from './last-readings.ts'

process.exitCode = await runProgram(lastReadings, process)
