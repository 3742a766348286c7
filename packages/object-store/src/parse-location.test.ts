// Invariant: a URL either names one store and prefix, or is refused with the right form; nothing is created by looking.
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { utf8Encode } from '@moraine/base'
import { describe, expect, it } from 'vitest'
import { FileObjectStore } from './fs/file-object-store.ts'
import { parseLocation } from './parse-location.ts'
import { S3ObjectStore } from './s3/s3-object-store.ts'

describe('parseLocation', () => {
  it.each([
    ['s3://bucket', 's3://bucket', ''],
    ['s3://bucket/', 's3://bucket', ''],
    ['s3://My.Bucket_1/a/b', 's3://My.Bucket_1', 'a/b'],
    ['s3://bucket/a/b/?endpoint=http://127.0.0.1:9000&region=eu-west-1&pathStyle=false', 's3://bucket', 'a/b'],
    ['s3://bucket/a%20b/%D1%8F?region=x', 's3://bucket', 'a b/я'],
  ])('%s', async (url, storeUrl, prefix) => {
    const location = parseLocation(url)
    expect(location.store).toBeInstanceOf(S3ObjectStore)
    expect(location.store.url).toBe(storeUrl)
    expect(location.prefix).toBe(prefix)
    await location.store.close()
  })

  it('a folder is the root itself, and is not made by looking', async () => {
    const folder = join(tmpdir(), 'moraine no such folder')
    const location = parseLocation(pathToFileURL(folder).href)
    expect(location.store).toBeInstanceOf(FileObjectStore)
    expect(location.prefix).toBe('')
    expect(await location.store.get('a')).toBeUndefined()
    expect((await location.store.list('')).objects).toEqual([])
    expect(existsSync(folder)).toBe(false)
  })

  it('memory stores of one name are one store, also after a handle was closed', async () => {
    const first = parseLocation('memory://parse-test/a/b')
    await first.store.put('k', utf8Encode('v'))
    await first.store.close()
    const second = parseLocation('memory://parse-test')
    expect((await second.store.get('k'))?.bytes).toEqual(utf8Encode('v'))
    expect([first.prefix, second.prefix]).toEqual(['a/b', ''])
  })

  it.each([
    ['', /not a URL/],
    ['/var/data', /file:\/\/\/var\/data/],
    ['data', /file:\/\/\/.*\/data/],
    ['C:\\data', /file:\/\//],
    ['gs://bucket', /gs:\/\/ is unknown/],
    ['s3://', /bucket is missing/],
    ['s3:///prefix', /bucket is missing/],
    ['s3://bucket/a?regoin=x', /'regoin' is unknown/],
    ['s3://bucket/a?region=', /'region' must be given once/],
    ['s3://bucket/a?region=a&region=b', /'region' must be given once/],
    ['s3://bucket/a?pathStyle=yes', /pathStyle must be/],
    ['s3://bucket/a//b', /prefix is not valid/],
    ['s3://bucket/../b', /prefix is not valid/],
    ['s3://bucket/%zz', /prefix is not valid/],
    ['s3://bucket/a#b', /fragment/],
    ['memory://', /name is missing/],
    ['memory://n?x=1', /no parameters/],
    ['file://host/dir', /File URL host/],
    ['file:///dir?x=1', /no parameters/],
  ])('refuses %j and shows the right form', (url, why) => {
    expect(() => parseLocation(url)).toThrow(expect.objectContaining({ code: 'INVALID', message: expect.stringMatching(why) }))
    expect(() => parseLocation(url)).toThrow(/s3:\/\/bucket\/prefix\?endpoint=.*file:\/\/\/folder or memory:\/\/name/)
  })

  it.each([
    ['s3://bu cket/a', /name of an S3 bucket/],
    ['s3://bucket/a?endpoint=localhost:9000', /http or https URL/],
    ['s3://bucket/a?endpoint=ftp://h', /http or https URL/],
  ])('refuses %j', (url, why) => {
    expect(() => parseLocation(url)).toThrow(expect.objectContaining({ code: 'INVALID', message: expect.stringMatching(why) }))
  })
})
