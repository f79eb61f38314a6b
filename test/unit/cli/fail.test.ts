import { CliError, EXIT, explain } from '../../../src/cli/fail.ts';
import { ConfigError } from '../../../src/config/config.ts';

it('has the exit codes of the contract', () => {
  expect(EXIT).toEqual({ done: 0, failed: 1, usage: 2, outOfReach: 3 });
});

it('prints every problem of a configuration, and exits with 2', () => {
  expect(explain(new ConfigError(['one', 'two']))).toEqual({ lines: ['one', 'two'], exitCode: 2 });
});

it('keeps the exit code of a CliError', () => {
  expect(explain(new CliError(EXIT.outOfReach, 'Redis is away'))).toEqual({
    lines: ['Redis is away'],
    exitCode: 3,
  });
});

it.each([
  [new TypeError('oops'), 'TypeError: oops'],
  ['a text', 'Error: a text'],
  [undefined, 'Error: undefined'],
  [null, 'Error: null'],
  [{}, 'Error: [object Object]'],
])('prints any value that was thrown: %p', (thrown, line) => {
  expect(explain(thrown)).toEqual({ lines: [line], exitCode: 1 });
});
