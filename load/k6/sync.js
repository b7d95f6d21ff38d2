/**
 * k6 against a running service: POST /sync at a rising rate, and a status request for one operation in ten until it is final.
 *
 *   k6 run load/k6/sync.js
 *   k6 run -e URL=https://sluice.example -e KEY=... -e PROVIDER=crm -e RATE=2000 load/k6/sync.js
 *
 * URL        the API, default http://127.0.0.1:8080
 * KEY        an API key with the scopes ingest and read, where keys are set
 * PROVIDER   a registered provider, default demo (npm start registers it)
 * RATE       requests a second at the top, default 80: the demo's provider takes 100 a second
 * DURATION   seconds at the top, default 30; the rise takes a third of it
 * RECORDS    how many records are written to, default 10000
 */
import { check } from 'k6';
import exec from 'k6/execution';
import http from 'k6/http';
import { Counter, Trend } from 'k6/metrics';

const url = __ENV.URL || 'http://127.0.0.1:8080';
const provider = __ENV.PROVIDER || 'demo';
const rate = Number(__ENV.RATE || 80);
const seconds = Number(__ENV.DURATION || 30);
const records = Number(__ENV.RECORDS || 10000);
const pollShare = 0.1;
const headers = { 'content-type': 'application/json' };
if (__ENV.KEY) headers.authorization = `Bearer ${__ENV.KEY}`;

/** From the request's beginning to the answer that says final, as a client sees it. */
const finalAfter = new Trend('final_after', true);
const notFinal = new Counter('not_final_in_30s');
const deadLettered = new Counter('dead_lettered');

export const options = {
  scenarios: {
    sync: {
      executor: 'ramping-arrival-rate',
      startRate: Math.max(1, Math.round(rate / 10)),
      timeUnit: '1s',
      preAllocatedVUs: 100,
      maxVUs: 2000,
      stages: [
        { target: rate, duration: `${Math.ceil(seconds / 3)}s` },
        { target: rate, duration: `${seconds}s` },
      ],
    },
  },
  thresholds: {
    checks: ['rate>0.999'],
    'http_req_duration{name:sync}': ['p(95)<50', 'p(99)<200'],
    'http_req_failed{name:sync}': ['rate<0.001'],
    dead_lettered: ['count==0'],
    not_final_in_30s: ['count==0'],
    // Requests that k6 itself could not make in time: the figures above would flatter.
    dropped_iterations: ['count<10'],
  },
};

export default function sync() {
  const number = exec.scenario.iterationInTest;
  const recordId = `k6-${Math.floor(Math.random() * records)}`;
  const operation = {
    operation: 'upsert',
    provider,
    record_id: recordId,
    data: { name: `Ada ${number}`, email: `${recordId}@example.com` },
  };
  const startedAt = Date.now();
  const answer = http.post(`${url}/sync`, JSON.stringify(operation), { headers, tags: { name: 'sync' } });
  const isAccepted = check(answer, { 'sync answers 202': ({ status }) => status === 202 });
  if (isAccepted && Math.random() < pollShare) poll(answer.json('operation_id'), startedAt);
}

function poll(operationId, startedAt) {
  const answer = http.get(`${url}/sync/status/${operationId}?wait=30`, { headers, tags: { name: 'status' } });
  if (!check(answer, { 'status answers 200': ({ status }) => status === 200 })) return;
  const status = answer.json('status');
  if (status === 'queued' || status === 'processing' || status === 'retrying') notFinal.add(1);
  else finalAfter.add(Date.now() - startedAt);
  if (status === 'dead_lettered') deadLettered.add(1);
}
