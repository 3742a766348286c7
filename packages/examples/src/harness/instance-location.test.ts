// Invariant: the instances of a job lie below its location, in the same store.
import { MemoryObjectStore } from 'moraine'
import { expect, test } from 'vitest'
import { instanceLocation } from './instance-location.ts'

test.each([
  ['file:///data/job', 'file:///data/job/instance-1'],
  ['memory://store', 'memory://store/instance-1'],
  ['memory://store/jobs/a', 'memory://store/jobs/a/instance-1'],
  ['s3://bucket?region=eu-west-1', 's3://bucket/instance-1?region=eu-west-1'],
  ['s3://bucket/jobs/a?endpoint=http://127.0.0.1:9000&pathStyle=true', 's3://bucket/jobs/a/instance-1?endpoint=http://127.0.0.1:9000&pathStyle=true'],
])('%s', (job, instance) => {
  expect(instanceLocation(job, 1)).toBe(instance)
})

test('a store and a prefix', () => {
  const store = new MemoryObjectStore()
  expect(instanceLocation({ store, prefix: 'job' }, 0)).toEqual({ store, prefix: 'job/instance-0' })
  expect(instanceLocation({ store }, 2)).toEqual({ store, prefix: 'instance-2' })
})
