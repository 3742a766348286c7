/** Applies an asynchronous function to many items, several at a time; the results come in the order of the items. */
export async function* inOrder<T, R>(
  items: readonly T[],
  concurrency: number,
  apply: (item: T) => Promise<R>,
): AsyncGenerator<R, void, undefined> {
  const running: Promise<R>[] = []
  for (const item of items) {
    const result = apply(item)
    // Awaited below, maybe much later: until then a failure must not count as unhandled.
    result.catch(() => {})
    running.push(result)
    if (running.length >= concurrency) yield await (running.shift() as Promise<R>)
  }
  for (const result of running) yield await result
}
