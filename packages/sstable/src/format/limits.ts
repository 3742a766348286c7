/**
 * No block is larger: positions inside a block are kept as 32-bit integers. The largest legal entry (1 GiB) fits.
 */
export const MAX_BLOCK_BYTES = 0x7fff_0000
