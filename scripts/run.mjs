// @ts-check
/**
 * One production process: `node scripts/run.mjs api|worker|simulator`. Builds first where there are sources; an image has only the
 * bundles. The bundle is loaded into this very process, so that signals reach it and nothing stands in between.
 */
import { build } from './build.mjs';

const name = process.argv[2] ?? '';
if (!['api', 'worker', 'simulator'].includes(name)) {
  console.error('usage: node scripts/run.mjs api|worker|simulator');
  process.exit(1);
}
process.setSourceMapsEnabled(true);
await build();
await import(new URL(`../dist/${name}.js`, import.meta.url).href);
