import { runProgram } from '../runner/program.ts'
import { airportHours } from './airport-hours.ts'

process.exitCode = await runProgram(airportHours, process)
