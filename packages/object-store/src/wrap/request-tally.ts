/** Requests by the classes that are priced. A multipart upload is several puts, a long `deleteMany` several deletes. */
export interface RequestsByClass {
  readonly put: number
  readonly list: number
  readonly get: number
  readonly head: number
  readonly delete: number
}

/** Requests and bytes. Failed tries count, because they were sent. */
export interface RequestTally {
  readonly requests: RequestsByClass
  readonly uploadedBytes: number
  readonly downloadedBytes: number
}

export const EMPTY_TALLY: RequestTally = {
  requests: { put: 0, list: 0, get: 0, head: 0, delete: 0 },
  uploadedBytes: 0,
  downloadedBytes: 0,
}

export function addTally(a: RequestTally, b: RequestTally): RequestTally {
  return combined(a, b, 1)
}

export function subtractTally(later: RequestTally, earlier: RequestTally): RequestTally {
  return combined(later, earlier, -1)
}

/** All requests, of whatever class. */
export function requestCount({ requests }: RequestTally): number {
  return requests.put + requests.list + requests.get + requests.head + requests.delete
}

function combined(a: RequestTally, b: RequestTally, sign: 1 | -1): RequestTally {
  return {
    requests: {
      put: a.requests.put + sign * b.requests.put,
      list: a.requests.list + sign * b.requests.list,
      get: a.requests.get + sign * b.requests.get,
      head: a.requests.head + sign * b.requests.head,
      delete: a.requests.delete + sign * b.requests.delete,
    },
    uploadedBytes: a.uploadedBytes + sign * b.uploadedBytes,
    downloadedBytes: a.downloadedBytes + sign * b.downloadedBytes,
  }
}
