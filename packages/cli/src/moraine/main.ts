#!/usr/bin/env node
import { runProgram } from '../terminal/run-program.ts'
import { moraine } from './moraine.ts'

await runProgram('moraine', moraine)
