/** A wrong command line. The message is for the person who typed it; the program adds where to find help. */
export class UsageError extends Error {}
