// @ts-check
/**
 * The demo of `npm start`: providers registered at the simulators, routes to the CRMs among them, one operation through, and what to
 * try next. Of the CRMs and routes what exists is kept; a CRM of ours only follows the simulators to where they listen this time.
 */

export const demoProvider = 'demo';

/** @type {readonly { name: string, at: (url: string) => Record<string, unknown> }[]} */
const demoCrms = [
  {
    name: 'salesforce',
    at: (url) => ({
      base_url: url,
      auth_config: { ...demoClient(`${url}/services/oauth2/token`), type: 'oauth2_client_credentials' },
      options: { external_id_field: 'Sluice_Id__c' },
    }),
  },
  {
    name: 'hubspot',
    at: (url) => ({
      base_url: url,
      auth_config: { type: 'bearer', token: 'pat-demo' },
      options: { record_id_property: 'sluice_record_id' },
    }),
  },
  {
    name: 'outreach',
    at: (url) => ({
      base_url: url,
      auth_config: { ...demoClient(`${url}/oauth/token`), type: 'oauth2_refresh_token', refresh_token: 'demo' },
    }),
  },
];

const demoRoutes = [
  { name: 'demo-sales', provider: 'salesforce', types: ['lead', 'prospect', 'employee'] },
  { name: 'demo-service', provider: 'hubspot', types: ['customer', 'partner', 'vendor'] },
];

/** @param {string} tokenUrl */
function demoClient(tokenUrl) {
  return { token_url: tokenUrl, client_id: 'demo', client_secret: 'demo' };
}

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
 * Registers the CRMs of the simulators, and routes to them.
 * @param {string} apiUrl
 * @param {string} simulatorUrl
 */
export async function registerDemoCrms(apiUrl, simulatorUrl) {
  /** @type {Set<string>} */
  const simulated = new Set();
  for (const { name, at } of demoCrms) {
    const crm = at(`${simulatorUrl}/${name}`);
    const isNew = await sendNew(`${apiUrl}/providers`, { name, kind: name, ...crm });
    if (isNew || (await followSimulator(`${apiUrl}/providers/${name}`, crm))) simulated.add(name);
  }
  for (const { name, provider, types } of demoRoutes) {
    // No demo of ours sends anything to a CRM that is not simulated.
    if (!simulated.has(provider)) continue;
    const filter = `data.contact_type in ${JSON.stringify(types)}`;
    await sendNew(`${apiUrl}/routes`, { name, entity: 'contact', filter, providers: [provider] });
  }
}

/**
 * The simulators may listen on another port than last time. False: the provider is not at a simulator, and stays as it is.
 * @param {string} providerUrl
 * @param {Record<string, unknown>} crm
 */
async function followSimulator(providerUrl, { base_url: baseUrl, auth_config: auth }) {
  const known = await send('GET', providerUrl);
  const here = new URL(String(baseUrl));
  const there = new URL(known.base_url);
  if (there.hostname !== here.hostname || there.pathname !== here.pathname) return false;
  if (there.port !== here.port) await send('PATCH', providerUrl, { base_url: baseUrl, auth_config: auth });
  return true;
}

/**
 * @param {string} method
 * @param {string} url
 * @param {unknown} [body]
 */
async function send(method, url, body) {
  const { answer, text } = await ask(method, url, body);
  if (!answer.ok) throw refusal(method, url, answer.status, text);
  return JSON.parse(text);
}

/**
 * False where one of that name exists.
 * @param {string} url
 * @param {unknown} body
 */
async function sendNew(url, body) {
  const { answer, text } = await ask('POST', url, body);
  if (!answer.ok && answer.status !== 409) throw refusal('POST', url, answer.status, text);
  return answer.ok;
}

/**
 * @param {string} method
 * @param {string} url
 * @param {unknown} body
 */
async function ask(method, url, body) {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(url, {
    method,
    headers,
    signal: AbortSignal.timeout(30_000),
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { answer, text: await answer.text() };
}

/**
 * @param {string} method
 * @param {string} url
 * @param {number} status
 * @param {string} text
 */
function refusal(method, url, status, text) {
  return new Error(`${method} ${new URL(url).pathname} was answered with ${status}: ${text.slice(0, 500)}`);
}

/**
 * Commands to go on with. Where the routes of this installation send the last of them is asked: its reader may have added some.
 * @param {string} apiUrl
 * @param {string} simulatorUrl
 * @param {string} operationId
 */
export async function nextSteps(apiUrl, simulatorUrl, operationId) {
  const update = { operation: 'update', provider: demoProvider, record_id: 'ada', data: { city: 'London' } };
  const contact = { last_name: 'Hopper', email: 'grace@example.com', contact_type: 'customer' };
  const routed = { operation: 'upsert', provider: 'auto', record_id: 'grace', data: contact };
  const { providers } = await send('POST', `${apiUrl}/routes/try`, routed);
  const goal = providers.length === 0 ? 'no route takes this customer' : `this customer goes to ${providers.join(' and ')}`;
  const json = "-H 'content-type: application/json'";
  return [
    `curl -s '${apiUrl}/sync/status/${operationId}'`,
    `curl -s ${apiUrl}/sync ${json} -d '${JSON.stringify(update)}'`,
    `curl -s ${simulatorUrl}/_control/records`,
    `# routes choose the CRM: ${goal}`,
    `curl -s ${apiUrl}/sync ${json} -d '${JSON.stringify(routed)}'`,
  ];
}
