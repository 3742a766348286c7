import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { MoraineError } from '@moraine/base'
import { FileObjectStore } from './fs/file-object-store.ts'
import { MemoryObjectStore } from './memory/memory-object-store.ts'
import { checkKey } from './object-key.ts'
import type { ObjectStore } from './object-store.ts'
import { S3ObjectStore } from './s3/s3-object-store.ts'

/** A store and the place in it that a URL names. */
export interface Location {
  readonly store: ObjectStore
  /** Without a slash at either end; empty for the whole store. */
  readonly prefix: string
}

const FORMS =
  's3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=us-east-1&pathStyle=true, file:///folder or memory://name/prefix'

/**
 * Opens the store that a URL names: `s3://bucket/prefix` with the optional parameters `endpoint`, `region` and
 * `pathStyle`, `file:///folder` (the folder itself is the root, the prefix is empty), or `memory://name/prefix`.
 * Nothing is requested or created. Throws INVALID with the right form for anything else.
 */
export function parseLocation(url: string): Location {
  if (typeof url !== 'string' || url === '') throw invalid(String(url), 'it is not a URL')
  const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\//.exec(url)?.[1]?.toLowerCase()
  switch (scheme) {
    case 's3':
      return s3Location(url)
    case 'file':
      return fileLocation(url)
    case 'memory':
      return memoryLocation(url)
    case undefined:
      throw invalid(url, `it has no scheme; for a folder write ${folderUrl(url)}`)
    default:
      throw invalid(url, `the scheme ${scheme}:// is unknown`)
  }
}

/** Which store a URL names, and where in it, without opening anything. */
export interface LocationParts {
  /** Equal for all locations in one bucket of one endpoint, in one folder, in one memory store. */
  readonly storeKey: string
  readonly prefix: string
}

/** Takes a URL apart; INVALID for one that `parseLocation` would refuse. */
export function splitLocation(url: string): LocationParts {
  const { store, prefix } = parseLocation(url)
  void store.close()
  const scheme = url.slice(0, url.indexOf('://')).toLowerCase()
  if (scheme === 'file') return { storeKey: store.url, prefix }
  const { name, parameters } = parts(url, `${scheme}://`)
  return { storeKey: `${scheme}://${name} ${parameters.get('endpoint') ?? ''}`, prefix }
}

/** The URL of another prefix of the store that `url` lies in. */
export function locationInSameStore(url: string, prefix: string): string {
  const scheme = url.slice(0, url.indexOf('://')).toLowerCase()
  if (scheme === 'file') {
    if (prefix === '') return url
    return pathToFileURL(join(fileURLToPath(url), prefix)).href
  }
  const [location, query] = split(url, '?')
  const root = location.slice(0, scheme.length + 3) + split(location.slice(scheme.length + 3), '/')[0]
  const path = prefix === '' ? '' : `/${prefix.split('/').map(encodeURIComponent).join('/')}`
  return `${root}${path}${query === '' ? '' : `?${query}`}`
}

function s3Location(url: string): Location {
  const { name, path, parameters } = parts(url, 's3://')
  if (name === '') throw invalid(url, 'the bucket is missing')
  const known = new Set(['endpoint', 'region', 'pathStyle'])
  const values = new Map<string, string>()
  for (const [key, value] of parameters) {
    if (!known.has(key)) throw invalid(url, `the parameter '${key}' is unknown; there are ${[...known].join(', ')}`)
    if (values.has(key) || value === '') throw invalid(url, `the parameter '${key}' must be given once, with a value`)
    values.set(key, value)
  }
  const pathStyle = values.get('pathStyle')
  if (pathStyle !== undefined && pathStyle !== 'true' && pathStyle !== 'false') {
    throw invalid(url, "pathStyle must be 'true' or 'false'")
  }
  const prefix = prefixOf(url, path)
  const store = new S3ObjectStore({
    bucket: name,
    endpoint: values.get('endpoint'),
    region: values.get('region'),
    forcePathStyle: pathStyle === undefined ? undefined : pathStyle === 'true',
  })
  return { store, prefix }
}

function fileLocation(url: string): Location {
  let root: string
  try {
    const parsed = new URL(url)
    if (parsed.search !== '' || parsed.hash !== '') throw new Error('a file URL takes no parameters (write %3F for ? and %23 for #)')
    root = fileURLToPath(parsed)
  } catch (error) {
    throw invalid(url, error instanceof Error ? error.message : String(error))
  }
  return { store: new FileObjectStore(root), prefix: '' }
}

function memoryLocation(url: string): Location {
  const { name, path, parameters } = parts(url, 'memory://')
  if (name === '') throw invalid(url, 'the name is missing')
  if (parameters.size > 0) throw invalid(url, 'a memory URL takes no parameters')
  return { prefix: prefixOf(url, path), store: MemoryObjectStore.named(name) }
}

/** Split by hand: the URL class folds the case of a host, and names of buckets need not be hosts. */
function parts(url: string, scheme: string): { name: string; path: string; parameters: URLSearchParams } {
  const [location = '', query = ''] = split(url.slice(scheme.length), '?')
  if (location.includes('#')) throw invalid(url, 'it has a fragment (write %23 for #)')
  const [name = '', path = ''] = split(location, '/')
  return { name, path, parameters: new URLSearchParams(query) }
}

function split(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

function prefixOf(url: string, path: string): string {
  try {
    const prefix = decodeURIComponent(path.endsWith('/') ? path.slice(0, -1) : path)
    if (prefix !== '') checkKey(prefix)
    return prefix
  } catch (error) {
    throw invalid(url, `its prefix is not valid (${error instanceof Error ? error.message : String(error)})`)
  }
}

function folderUrl(path: string): string {
  return path.includes('\0') ? 'file:///folder' : pathToFileURL(path).href
}

function invalid(url: string, why: string): MoraineError {
  return new MoraineError('INVALID', `${JSON.stringify(url)} does not name a store: ${why}. Write ${FORMS}`)
}
