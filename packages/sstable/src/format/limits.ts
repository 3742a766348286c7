/**
 * No block is larger: positions inside a block are kept as 32-bit integers. The largest legal entry (1 GiB) fits.
 */
export const MAX_BLOCK_BYTES = 0x7fff_0000

/** Key and value of one entry; leaves room for everything else that its block holds. */
export const MAX_ENTRY_BYTES: number = MAX_BLOCK_BYTES - 64 * 1024
