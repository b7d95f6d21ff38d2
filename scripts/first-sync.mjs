// @ts-check
/** The demo of `npm start`: a provider registered at the simulator, one operation through to it, and what to try next. */

export const demoProvider = 'demo';

/**
 * @param {string} apiUrl
 * @param {string} simulatorUrl
 * @returns {Promise<{ operationId: string, status: string, attempts: number, ms: number }>}
 */
export async function firstSync(apiUrl, simulatorUrl) {
  await send('PUT', `${apiUrl}/providers/${demoProvider}`, {
    name: demoProvider,
    kind: 'http',
    base_url: simulatorUrl,
    limits: [{ requests: 100, per: '1s', burst: 20 }],
  });
  const startedAt = performance.now();
  const { operation_id: operationId } = await send('POST', `${apiUrl}/sync`, {
    operation: 'upsert',
    provider: demoProvider,
    record_id: 'ada',
    data: { first_name: 'Ada', last_name: 'Lovelace', email: 'ada@example.com' },
  });
  const view = await send('GET', `${apiUrl}/sync/status/${operationId}?wait=20`);
  return { operationId, status: view.status, attempts: view.attempts, ms: Math.round(performance.now() - startedAt) };
}

/**
 * @param {string} method
 * @param {string} url
 * @param {unknown} [body]
 */
async function send(method, url, body) {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(url, {
    method,
    headers,
    signal: AbortSignal.timeout(30_000),
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${new URL(url).pathname} was answered with ${answer.status}: ${text.slice(0, 500)}`);
  return JSON.parse(text);
}

/**
 * @param {string} apiUrl
 * @param {string} simulatorUrl
 * @param {string} operationId
 */
export function nextSteps(apiUrl, simulatorUrl, operationId) {
  const update = { operation: 'update', provider: demoProvider, record_id: 'ada', data: { city: 'London' } };
  return [
    `curl -s '${apiUrl}/sync/status/${operationId}'`,
    `curl -s ${apiUrl}/sync -H 'content-type: application/json' -d '${JSON.stringify(update)}'`,
    `curl -s ${simulatorUrl}/_control/records`,
  ];
}
