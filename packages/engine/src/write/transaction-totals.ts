/** What became of the transactions of an engine since it was opened. */
export class TransactionTotals {
  open = 0
  committed = 0
  conflicts = 0
}
