import { learnFromAnswer } from '../../../src/delivery/learn-from-answer.ts';
import { FOLLOW_UP } from '../../../src/delivery/policy/pending-user.ts';
import { commands, entryOf, pendingUserOf, verdictFor } from './entries.ts';

test('a suspect who is mended counts as one failure by chance, however often the calls failed before', () => {
  const passed: number[] = [];
  const learned = {
    chance: { passed: (failures: number) => passed.push(failures) },
    batchSize: { saw: () => undefined },
    commands,
  };
  const suspicion = {
    since: 1,
    failures: 40,
    errorCode: 70500,
    httpStatus: 200,
    errorInfo: '',
    hasAccount: false,
  };
  const user = { ...pendingUserOf(entryOf('a', 1)), suspicion };
  for (const users of [[user], [{ ...user, suspicion: null }]])
    learnFromAnswer(learned as never, {
      request: { ...FOLLOW_UP, command: 'account_import', users, unluckyFailures: 2 },
      verdict: verdictFor(0),
      breaker: { kind: 'passed', isTold: false },
      decision: { imported: users, refused: [], again: [], later: [] },
    });
  expect(passed).toEqual([1, 2]);
});
