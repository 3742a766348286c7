/** Where a block lies in its file. `size` does not count the five bytes of trailer that follow the block. */
export interface BlockHandle {
  readonly offset: number
  readonly size: number
}
