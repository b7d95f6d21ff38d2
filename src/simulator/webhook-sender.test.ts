import { expect, test } from 'vitest';
import { eventually } from '../../test/support/eventually.ts';
import { createWebhookSender } from './webhook-sender.ts';

test('no more webhooks are under way than may be, and the others follow', async () => {
  const answers: ((status: number) => void)[] = [];
  const post = () => new Promise<number>((resolve) => answers.push(resolve));
  const sender = createWebhookSender({ now: () => 7, random: () => 0, idsFrom: 0, wait: async () => undefined, post }, 2);
  const attempt = () => ({ url: 'https://www.example.com/', headers: {}, text: '[]', timeoutMs: 1 });
  for (let n = 0; n < 3; n += 1) sender.send({ attempt, delaysMs: [], isDelivered: (status) => status === 200 });
  await eventually(() => expect(answers).toHaveLength(2));
  answers[0]?.(200);
  await eventually(() => expect(answers).toHaveLength(3));
  answers[1]?.(500);
  answers[2]?.(200);
  await eventually(() => expect(sender.list().map(({ state }) => state)).toEqual(['delivered', 'given_up', 'delivered']));
  expect(sender.list()[1]?.attempts).toEqual([{ at_ms: 7, headers: {}, body: '[]', status: 500 }]);
});
