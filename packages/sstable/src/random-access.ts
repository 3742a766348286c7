/** A file (or object, or array) that is read by range. */
export interface RandomAccess {
  readonly sizeBytes: number
  /** Exactly `length` bytes from `offset`; the array may be a view of something larger. */
  read(offset: number, length: number): Promise<Uint8Array>
}
