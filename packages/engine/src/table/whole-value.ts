import { ENVELOPED, isBlobReference, payloadStart } from '../batch/envelope.ts'
import { readReference } from '../blob/blob-reference.ts'
import type { ValueSeparator } from '../blob/value-separator.ts'

/** The value of a put without its envelope, out of its blob file if it lies in one and has been fetched. */
export function wholeValue(
  kind: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  separator: Pick<ValueSeparator, 'valueOf'> | undefined,
): Uint8Array {
  if (kind < ENVELOPED) return bytes.subarray(start, end)
  const from = payloadStart(bytes, start, end)
  if (separator === undefined || !isBlobReference(bytes, start, end)) return bytes.subarray(from, end)
  return separator.valueOf(readReference(bytes, from, end))
}
