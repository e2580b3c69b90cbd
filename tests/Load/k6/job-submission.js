// Jobs at a fixed arrival rate, three times what one gateway's channel pool can do (8 workers, 100 ms a job: 80 a second).
// k6 run tests/Load/k6/job-submission.js            VARIANT=distributed RATE=720 for the pool of three workers
import http from 'k6/http';
import { check } from 'k6';
import { Trend } from 'k6/metrics';

const gateway = __ENV.GATEWAY || 'http://127.0.0.1:5080';
const variant = __ENV.VARIANT || 'channel';
const refusals = new Trend('refusals', true);

http.setResponseCallback(http.expectedStatuses(202, 503));

export const options = {
  scenarios: {
    jobs: { executor: 'constant-arrival-rate', rate: Number(__ENV.RATE || 240), timeUnit: '1s', duration: '30s', preAllocatedVUs: 32, maxVUs: 64 },
  },
  thresholds: { http_req_failed: ['rate==0'], checks: ['rate==1'], refusals: ['p(99)<10'] },
};

export default function () {
  const reply = http.post(`${gateway}/api/worker-pool/${variant}/jobs?work=io:100ms`);
  if (reply.status === 503) refusals.add(reply.timings.duration);
  check(reply, { '202, or 503 with Retry-After': r => r.status === 202 || (r.status === 503 && r.headers['Retry-After'] !== undefined) });
}
