import { on } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { FlightBlock } from './flight-block.ts'
import { flightsFile } from './source.ts'

/**
 * The first `rowLimit` flights as encoded blocks, decoded on a second thread and in source order. At most two blocks
 * and one decoded row group exist at a time, however slow the consumer is.
 */
export async function* feedFlights(rowLimit: number): AsyncGenerator<FlightBlock> {
  const worker = new Worker(new URL('./decode-worker.js', import.meta.url), {
    workerData: { path: flightsFile(), rowLimit, blockRows: 16_384 },
    // The decoder makes much short-lived garbage; left alone, V8 would rather take memory than collect it.
    resourceLimits: { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 32 },
  })
  try {
    // An error in the worker rejects the iteration; an exit ends it.
    const messages = on(worker, 'message', { close: ['exit'] }) as AsyncIterable<[FlightBlock | undefined]>
    worker.postMessage('one block')
    worker.postMessage('one ahead')
    for await (const [block] of messages) {
      if (block === undefined) return
      yield block
      worker.postMessage('one more')
    }
    throw new Error('the decoding thread ended before the source did')
  } finally {
    await worker.terminate()
  }
}
