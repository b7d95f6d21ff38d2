/**
 * Who may import whom: api → shared ← worker; inside shared, domain imports nothing, redis, telemetry and config stand on domain, and
 * queue, gate, providers and routes stand above those without knowing each other.
 */

/** Tests sit beside what they test and may set up more than it may import. */
const test = '\\.test\\.ts$';

const rule = (name, comment, from, to) => ({
  name,
  comment,
  severity: 'error',
  from: { pathNot: test, ...from },
  to,
});

module.exports = {
  forbidden: [
    rule(
      'no-cycles',
      'Files that run in a circle can only be understood, and loaded, together. Circles of types alone vanish in the build.',
      { path: '^(src|test|load|scripts)/' },
      { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    ),
    // k6 brings its own modules.
    rule('no-unresolved', 'An import that leads nowhere breaks at run time.', { pathNot: '^load/k6/' }, { couldNotResolve: true }),
    rule(
      'production-packages-only',
      'Images hold no development packages.',
      { path: '^src/' },
      { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    ),
    rule(
      'src-knows-no-tests',
      'Tests and load programs use the product, never the other way round.',
      { path: '^src/' },
      { path: '^(test|load|scripts)/' },
    ),
    rule('api-knows-no-worker', 'They share what is in shared, nothing else.', { path: '^src/api/' }, { path: '^src/(worker|simulator)/' }),
    rule('worker-knows-no-api', 'They share what is in shared, nothing else.', { path: '^src/worker/' }, { path: '^src/(api|simulator)/' }),
    rule(
      'simulator-stands-alone',
      'A simulator that shares code with the adapters would share their mistakes.',
      { path: '^src/simulator/' },
      { path: '^src/(api|worker|shared)/' },
    ),
    rule(
      'shared-knows-no-process',
      'shared is what both processes import.',
      { path: '^src/shared/' },
      { path: '^src/(api|worker|simulator)/' },
    ),
    rule(
      'domain-imports-nothing',
      'The domain is pure: no package, no Node module, no other folder.',
      { path: '^src/shared/domain/' },
      { pathNot: '^src/shared/domain/' },
    ),
    rule(
      'base-stands-on-domain',
      'redis, telemetry and config import only domain, each other not at all.',
      { path: '^src/shared/(redis|telemetry|config)/' },
      { path: '^src/shared/', pathNot: ['^src/shared/domain/', '^src/shared/$1/'] },
    ),
    rule(
      'owners-do-not-know-each-other',
      'queue, gate, providers and routes each own their data; what they share is below them. The configuration type is no data.',
      { path: '^src/shared/(queue|gate|providers|routes)/' },
      { path: '^src/shared/(queue|gate|providers|routes)/', pathNot: ['^src/shared/$1/', '^src/shared/providers/config\\.ts$'] },
    ),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: ['^dist', '^load/results'] },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      extensions: ['.ts', '.mjs', '.js', '.cjs', '.d.ts', '.lua'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
