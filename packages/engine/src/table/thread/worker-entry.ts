/**
 * Where the worker's program is: beside this module in the published package. Undefined when this runs from TypeScript
 * sources, which a worker thread cannot load.
 */
export function workerEntry(): URL | undefined {
  return import.meta.url.endsWith('.ts') ? undefined : new URL('worker.js', import.meta.url)
}
