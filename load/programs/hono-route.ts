/** The bare part of the API: a Hono route that parses the same JSON and answers the same, alone or in front of BullMQ's addBulk. */
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { serveCommands } from './commands.ts';
import { type BullQueue, loadBullmq } from './load-bullmq.ts';
import { bullQueueName } from './sample.ts';

interface Operation {
  readonly record_id: string;
}

/** As large as Sluice's answer. */
function answerOf({ record_id }: Operation, id: string) {
  const operationId = `0.mi7k2xq1.${id}.p`;
  return { operation_id: operationId, record_id, status: 'queued', status_url: `/sync/status/${operationId}` };
}

function createApp(queue: BullQueue | undefined): Hono {
  const app = new Hono();
  app.post('/sync', async (c) => {
    const body = await c.req.json<Operation | Operation[]>();
    if (!Array.isArray(body)) return c.json(answerOf(body, 'mi7k'), 202);
    const jobs = (await queue?.addBulk(body.map((data) => ({ name: 'sync', data })))) ?? [];
    const results = body.map((operation, index) => answerOf(operation, jobs[index]?.id ?? ''));
    return c.json({ accepted: results.length, rejected: 0, results }, 202);
  });
  return app;
}

const commands = {
  /** The port. */
  listen: ({ bullmqRedisPort }: { bullmqRedisPort?: number }) =>
    new Promise<number>((resolve) => {
      const connection = bullmqRedisPort === undefined ? undefined : { host: '127.0.0.1', port: bullmqRedisPort };
      const queue = connection && new (loadBullmq().Queue)(bullQueueName, { connection });
      serve({ fetch: createApp(queue).fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => resolve(port));
    }),
};
export type HonoRouteCommands = typeof commands;

serveCommands(commands);
