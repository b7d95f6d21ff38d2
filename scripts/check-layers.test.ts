import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** Checks a project that consists of these files; gives the rules it broke, in order of their names. */
function brokenRules(files: Record<string, string>): { isFine: boolean; rules: string[] } {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-layers-'));
  folders.push(folder);
  cpSync(join(root, 'tsconfig.json'), join(folder, 'tsconfig.json'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  const { status, stdout } = spawnSync(process.execPath, [join(root, 'scripts/check-layers.mjs'), folder], { encoding: 'utf8' });
  const rules = [...stdout.matchAll(/error ([a-z-]+):/g)].map((match) => match[1] as string);
  return { isFine: status === 0, rules: [...new Set(rules)].sort() };
}

test('imports along the layers are fine', () => {
  const outcome = brokenRules({
    'src/api/main.ts': "import { queue } from '../shared/queue/submit.ts';\nexport const api = queue;\n",
    'src/shared/queue/submit.ts': "import { kinds } from '../domain/operation.ts';\nexport const queue = kinds;\n",
    'src/shared/domain/operation.ts': 'export const kinds = 1;\n',
  });
  expect(outcome).toEqual({ isFine: true, rules: [] });
});

test('an import against the layers is found, whichever it is', () => {
  const outcome = brokenRules({
    'src/api/main.ts': "import { worker } from '../worker/main.ts';\nexport const api = worker;\n",
    'src/worker/main.ts': "import { support } from '../../test/support.ts';\nexport const worker = support;\n",
    'test/support.ts': 'export const support = 1;\n',
    'src/shared/domain/operation.ts': "import { hash } from 'node:crypto';\nexport const kinds = hash;\n",
    'src/shared/queue/submit.ts': "import { gate } from '../gate/acquire.ts';\nexport const queue = gate;\n",
    'src/shared/gate/acquire.ts': "import { redis } from '../redis/connection.ts';\nexport const gate = redis;\n",
    'src/shared/redis/connection.ts': "import { queue } from '../queue/submit.ts';\nexport const redis = queue;\n",
  });
  expect(outcome.isFine).toBe(false);
  expect(outcome.rules).toEqual([
    'api-knows-no-worker',
    'base-stands-on-domain',
    'domain-imports-nothing',
    'no-cycles',
    'owners-do-not-know-each-other',
    'src-knows-no-tests',
  ]);
});
