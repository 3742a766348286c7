import { runProgram } from '../runner/program.ts'
import { cardFraud } from './card-fraud.ts'

process.exitCode = await runProgram(cardFraud, process)
