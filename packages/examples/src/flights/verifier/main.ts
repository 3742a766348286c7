import { once } from 'node:events'
import type { VerificationRequest } from '../verification.ts'
import { verifyFlights } from '../verify.ts'

// The verifying process: started by verifyInNewProcess, takes one message, answers with one.

const [request] = (await once(process, 'message')) as [VerificationRequest]
const result = await verifyFlights(request, process.stderr, () => performance.now())
process.send?.(result, () => process.disconnect())
