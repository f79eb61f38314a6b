/** Jest on native ES modules (see `npm test`): sources import `./x.ts`, swc only strips the types. */
export default {
  testEnvironment: 'node',
  // Node's own conditions, and that under which package.json leads `#simulator` to its sources.
  testEnvironmentOptions: { customExportConditions: ['node', 'node-addons', 'imsync-source'] },
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2023' }, module: { type: 'es6' } },
    ],
  },
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  globalSetup: '<rootDir>/test/support/global-setup.js',
  // Most tests wait for processes that they started: with fewer workers, two cores are idle most of the time.
  maxWorkers: 4,
  // A deadline, not an expectation of speed: real servers on a busy machine take their time.
  testTimeout: 120_000,
};
