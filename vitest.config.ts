import { defineConfig } from 'vitest/config';

/** Imports `*.lua` as text, as the build's loader does. */
const luaAsText = {
  name: 'lua-as-text',
  transform(code: string, id: string) {
    return id.endsWith('.lua') ? { code: `export default ${JSON.stringify(code)}`, map: null } : undefined;
  },
};

export default defineConfig({
  plugins: [luaAsText],
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'scripts/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    maxWorkers: 2,
  },
});
