import { ByteReader, ByteWriter, MoraineError, utf8Decode, utf8Encode } from '@moraine/base'
import { applyPatch, type Operation } from 'rfc6902'
import type { MergeOperator } from '../merge-operator.ts'

/**
 * Changes JSON documents. A value is JSON text in UTF-8; so is an operand:
 *
 * - a list is a JSON Patch (RFC 6902): `[{ "op": "add", "path": "/tags/-", "value": "new" }]`. It is applied as a whole or,
 *   where it does not fit (a path that is not there, a failed `test`), not at all: then it leaves the document as it is.
 * - anything else is a JSON Merge Patch (RFC 7396): `{ "name": "Ada", "age": null }` sets one member and removes another.
 *
 * Where there is no document yet, patches begin with `null`. Operands that were combined stand one after another:
 *
 *     0x00 | (length varint | operand)*
 */
export const jsonPatch: MergeOperator = {
  name: 'json-patch',
  version: 1,
  merge(_key, base, operands) {
    let document = base === undefined ? null : parse(base, 'the value')
    for (const operand of operands) for (const patch of patchesOf(operand)) document = apply(document, patch)
    return utf8Encode(JSON.stringify(document))
  },
  combine(_key, operands) {
    const writer = new ByteWriter()
    writer.u8(SEQUENCE)
    for (const operand of operands) for (const patch of textsOf(operand)) writer.sized(patch)
    return writer.finish()
  },
  check(operand) {
    if (operand[0] === SEQUENCE) throw new MoraineError('INVALID', 'a JSON patch is JSON text')
    const patch = parse(operand, 'the patch')
    if (Array.isArray(patch) && !patch.every(isOperation)) {
      throw new MoraineError('INVALID', "a JSON Patch is a list of { op, path, ... } with op 'add', 'remove', 'replace', 'move', 'copy' or 'test'")
    }
    if (Array.isArray(patch) && patch.some(isMisread)) {
      throw new MoraineError(
        'INVALID',
        "a path of a JSON Patch cannot name members 'constructor', 'prototype' or '__proto__': change them with a JSON Merge Patch",
      )
    }
  },
}

type Json = string | number | boolean | null | Json[] | { [name: string]: Json }

const SEQUENCE = 0
const OPERATIONS: ReadonlySet<unknown> = new Set(['add', 'remove', 'replace', 'move', 'copy', 'test'])

const PASSED_OVER: ReadonlySet<unknown> = new Set(['constructor', 'prototype', '__proto__'])

function parse(bytes: Uint8Array, what: string): Json {
  try {
    return JSON.parse(utf8Decode(bytes)) as Json
  } catch (cause) {
    throw new MoraineError('INVALID', `${what} is not JSON`, { cause })
  }
}

function isOperation(item: unknown): boolean {
  const { op, path, from } = (item ?? {}) as { op?: unknown; path?: unknown; from?: unknown }
  return OPERATIONS.has(op) && typeof path === 'string' && ((op !== 'move' && op !== 'copy') || typeof from === 'string')
}

/** The library passes over these members, and would change another one in their place. */
function isMisread(item: unknown): boolean {
  const { path, from } = item as { path?: unknown; from?: unknown }
  return [path, from].some((pointer) => typeof pointer === 'string' && pointer.split('/').some((token) => PASSED_OVER.has(token)))
}

function textsOf(operand: Uint8Array): Uint8Array[] {
  if (operand[0] !== SEQUENCE) return [operand]
  const reader = new ByteReader(operand, 'a combined JSON patch', 1)
  const texts: Uint8Array[] = []
  while (reader.remaining > 0) texts.push(reader.view(reader.varint()))
  return texts
}

function patchesOf(operand: Uint8Array): Json[] {
  return textsOf(operand).map((text) => parse(text, 'a patch'))
}

function apply(document: Json, patch: Json): Json {
  if (!Array.isArray(patch)) return mergePatch(document, patch)
  // Operands that were written before `check` refused them do not fit.
  if (patch.some(isMisread)) return document
  // The library wants a holder, so that a patch may replace the whole document; and it changes what it is given.
  const holder = { document: structuredClone(document) }
  const operations = patch.map((operation) => within(operation as unknown as Operation))
  try {
    return applyPatch(holder, operations).some((failure) => failure !== null) ? document : holder.document
  } catch {
    // It throws where it should say that a patch does not fit: a member of a number, for one.
    return document
  }
}

/** The same operation on the document inside of its holder. */
function within(operation: Operation): Operation {
  const moved = { ...operation, path: `/document${operation.path}` }
  return 'from' in moved ? { ...moved, from: `/document${moved.from}` } : moved
}

/** RFC 7396, section 2. */
function mergePatch(target: Json, patch: Json): Json {
  if (!isObject(patch)) return patch
  const result: { [name: string]: Json } = isObject(target) ? { ...target } : {}
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name]
    else define(result, name, mergePatch(Object.hasOwn(result, name) ? (result[name] as Json) : null, value))
  }
  return result
}

/** A member called `__proto__` is a member like any other. */
function define(object: { [name: string]: Json }, name: string, value: Json): void {
  Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true })
}

function isObject(value: Json): value is { [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
