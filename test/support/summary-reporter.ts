import type { Reporter, SerializedError, TestModule } from 'vitest/node';

/**
 * Ends a run with one plain line, `N passed, N failed`, and `, N skipped` where there are any. A file that cannot be loaded, a failed
 * hook and an error outside any test count as failures of their own; so does a run without a single test.
 */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed' || state === 'failed') counts[state] += 1;
        else counts.skipped += 1;
      }
      const suites = [...module.children.allSuites()];
      counts.failed += [module, ...suites].filter((suite) => suite.errors().length > 0).length;
    }
    if (counts.passed + counts.failed === 0) counts.failed = 1;
    // After the other reporters' own summaries.
    process.once('exit', () => {
      process.stdout.write(`${counts.passed} passed, ${counts.failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''}\n`);
    });
  }
}
