export type { Database, MissingSubject, Subject } from './subject/subject.ts'
export { allWorkloads } from './workload/all-workloads.ts'
export { runWorkloads } from './run-workloads.ts'
export { renderReport } from './report/render-report.ts'
