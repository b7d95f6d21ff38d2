import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** Why dist/ could not be built, or '' when it was. */
    buildFailure: string;
  }
}

/** Builds dist/ once for the tests that start real processes. A failure stops those tests alone: the pure ones need no build. */
export default async function setup(project: TestProject): Promise<void> {
  const { build } = await import('../../scripts/build.mjs');
  const failure = await build().then(
    () => '',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  project.provide('buildFailure', failure);
}
