import { expect, test } from 'vitest';
import { installRedis } from './install-redis.mjs';

interface Played {
  readonly tools: readonly string[];
  readonly isRoot?: boolean;
  readonly hasPassword?: boolean;
  readonly stderr?: string;
}

/** What is told on a machine that has these tools, where no installation comes to a good end; and what was run there. */
function failureOn({ tools, isRoot = false, hasPassword = false, stderr = '' }: Played) {
  const ran: string[] = [];
  const outcome = installRedis({
    isRoot,
    has: (tool: string) => tools.includes(tool),
    run: (command: string, args: readonly string[]) => {
      ran.push([command, ...args].join(' '));
      const isQuestion = args.join(' ') === '-n true';
      return { status: isQuestion && !hasPassword ? 0 : 1, stdout: '', stderr: isQuestion ? '' : stderr };
    },
  });
  return { message: outcome.status === 'failed' ? outcome.message : '', ran };
}

/** What there is to be typed or opened stands on a line of its own. */
const shownIn = (message: string) => [...message.matchAll(/^ {2}(.*)$/gm)].map((match) => match[1]);

const elsewhere = 'REDIS_URL=redis://host:6379 npm start';

test('without a package manager, where Redis is to be had is told; there is nothing to run', () => {
  const { message, ran } = failureOn({ tools: [] });
  expect(message).toContain('no package manager');
  expect(message).toContain('Redis 7.0 or later, or Valkey');
  expect(message).not.toContain('Run this');
  expect(shownIn(message)).toEqual(['https://redis.io/docs/latest/operate/oss_and_stack/install/', elsewhere]);
  expect(ran).toEqual([]);
});

test('the advice fits who reads it: with sudo, without it, and for root', () => {
  const byHand = 'apt-get update && apt-get install -y redis-server';
  const withSudo = failureOn({ tools: ['apt-get', 'sudo'], hasPassword: true });
  expect(withSudo.message).toContain('needs a password');
  expect(shownIn(withSudo.message)[0]).toBe('sudo apt-get update && sudo apt-get install -y redis-server');

  const withoutSudo = failureOn({ tools: ['apt-get'] });
  expect(withoutSudo.message).toContain('Have root run this');
  expect(shownIn(withoutSudo.message)[0]).toBe(byHand);
  expect(withoutSudo.ran).toEqual([]);

  const root = failureOn({ tools: ['apt-get'], isRoot: true, stderr: 'E: broken' });
  expect(shownIn(root.message)).toEqual(['E: broken', byHand, elsewhere]);
  expect(root.ran).toEqual([expect.stringMatching(/^sh -c/)]);
});

test('brew needs neither root nor sudo', () => {
  const { message, ran } = failureOn({ tools: ['brew', 'sudo'], stderr: 'Error: no network' });
  expect(shownIn(message)).toEqual(['Error: no network', 'brew install redis', elsewhere]);
  expect(ran).toEqual([expect.stringMatching(/^sh -c brew/)]);
});

test('a package manager that fails is told with the cause, which apt-get names before its last line, and once', () => {
  const warnings = [
    "W: Failed to fetch http://deb.debian.org/debian/dists/bookworm/InRelease  Temporary failure resolving 'deb.debian.org'",
    'W: Some index files failed to download. They have been ignored, or old ones used instead.',
  ];
  const last = 'E: Unable to locate package redis-server';
  const { message } = failureOn({
    tools: ['apt-get', 'sudo'],
    stderr: [...warnings, ...warnings, '', last, ''].join('\n'),
  });
  expect(shownIn(message).slice(0, 3)).toEqual([...warnings, last]);
  expect(message).toMatch(/check the network, name resolution and the proxy/);
});
