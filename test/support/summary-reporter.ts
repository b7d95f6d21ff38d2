import type { Reporter, SerializedError, TestModule, Vitest } from 'vitest/node';

/**
 * Ends a run with one plain line, `N passed, N failed`, and `, N skipped` where there are any. A file that cannot be loaded, a failed
 * hook and an error outside any test count as failures of their own; so does a run without a single test, which also says why.
 */
export default class SummaryReporter implements Reporter {
  #namePattern: RegExp | undefined;

  onInit({ config }: Pick<Vitest, 'config'>): void {
    this.#namePattern = config.testNamePattern;
  }

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
    const lines: string[] = [];
    if (counts.passed + counts.failed === 0) {
      lines.push(whyNothingRan(counts.skipped, this.#namePattern));
      counts.failed = 1;
      // Vitest takes a run that skipped everything for a good one.
      process.exitCode = 1;
    }
    lines.push(`${counts.passed} passed, ${counts.failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''}`);
    // After the other reporters' own summaries.
    process.once('exit', () => {
      process.stdout.write(`${lines.join('\n')}\n`);
    });
  }
}

function whyNothingRan(skipped: number, namePattern: RegExp | undefined): string {
  if (skipped === 0) return 'Nothing was run: no test was found.';
  if (namePattern === undefined) return 'Nothing was run: every test found is marked as skipped.';
  return `Nothing was run: none of the ${skipped} tests found has a name that matches -t ${JSON.stringify(namePattern.source)}.`;
}
