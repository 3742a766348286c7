import { runProgram } from '../runner/program.ts'
import { sessions } from './sessions.ts'

process.exitCode = await runProgram(sessions, process)
