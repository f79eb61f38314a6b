import { letterText, redriveText, summaryText } from '../../../../src/cli/dlq/text.ts';
import type { StoredLetter } from '../../../../src/ledger/letters/dead-letters.ts';

const at = Date.UTC(2025, 3, 3, 17, 8, 43);
const letter: StoredLetter = {
  eventId: '1743700123000-0',
  userId: 'ann',
  reason: 'rejected',
  errorCode: 70399,
  errorInfo: 'deleted lately',
  httpStatus: 200,
  command: 'account_import',
  event: { userId: 'ann', nick: 'A "B"' },
  attempts: [{ at, command: 'account_import', errorCode: 70399, httpStatus: 200 }],
  firstSeenAt: at,
  notBefore: at + 86_400_000,
  state: 'dead',
  deadSince: at + 1_000,
  firstDeadAt: at,
  redrives: [{ at, by: 'op@host' }],
};

it('the text of a letter has all its data and what to do next', () => {
  expect(letterText(letter, at)).toBe(`event       1743700123000-0
user        "ann"
state       dead
reason      rejected 70399
error info  deleted lately
first seen  2025-04-03T17:08:43.000Z
dead since  2025-04-03T17:08:44.000Z (for the first time 2025-04-03T17:08:43.000Z)
call        account_import, HTTP 200
attempt     2025-04-03T17:08:43.000Z  account_import  70399
redriven    2025-04-03T17:08:43.000Z  by op@host
field       userId = "ann"
field       nick = "A \\"B\\""
next        redrive it after 2025-04-04T17:08:43.000Z; before that time a redrive leaves it out (--force takes it anyway)
`);
});

it.each<[Partial<StoredLetter>, string]>([
  [{ notBefore: null }, 'imsync dlq redrive 1743700123000-0'],
  [{ notBefore: null, reason: 'invalid' }, 'push the event again'],
  [{ notBefore: null, reason: 'invalid', partial: true }, 'cannot be redriven'],
  [{ notBefore: null, reason: 'invalid', userId: 'NULL' }, '--mended-id ID'],
  [{ notBefore: null, reason: 'invalid', userId: 'NULL' }, 'redrive --reason invalid --user ID'],
  [{ notBefore: null, withheld: ['password'] }, 'redrive 1743700123000-0 --password-file FILE'],
  [{ withheld: ['password'] }, 'redrive it after'],
  [{ notBefore: null, reason: 'invalid', withheld: ['password'] }, 'push the event again'],
  [
    { notBefore: null, reason: 'invalid', userId: 'NULL', withheld: ['password'] },
    '--mended-id ID --password-file FILE',
  ],
  [{ state: 'redriving' }, 'wait'],
  [{ state: 'resolved', resolvedAt: at, resolvedBy: '1743700123000-0' }, 'nothing'],
])('a letter with %j has its own advice', (change, words) => {
  const text = letterText({ ...letter, ...change }, at);
  expect(text.slice(text.indexOf('\nnext'))).toContain(words);
});

it('the summary counts letters by reason and code, and says when there are none', () => {
  expect(summaryText({ total: 0, groups: [], redriving: 1, resolved: 2 })).toBe(
    'no dead letters (1 being redriven, 2 resolved)\n',
  );
  const groups = [{ reason: 'rejected', errorCode: 70399, count: 12, newest: letter }] as const;
  const text = summaryText({ total: 12, groups, redriving: 0, resolved: 0 });
  expect(text).toContain('12  rejected 70399: ');
  expect(text).toContain('newest      2025-04-03T17:08:44.000Z  1743700123000-0  user "ann"');
  expect(text).toContain('not before 2025-04-04T17:08:43.000Z');
  expect(text).toContain('imsync dlq show 1743700123000-0');
});

it('the text of a redrive says what was redriven, what was left out, and why it stopped', () => {
  const report = {
    letters: 3,
    users: 2,
    calls: 1,
    imported: 0,
    failed: 0,
    left: { busy: 4 },
    givenUp: 'held',
  } as const;
  const text = redriveText(report, false);
  expect(text).toContain('redriven: 3 letters of 2 users, in 1 call\n');
  expect(text).toContain('left out: 4 users: they are in a call');
  expect(text).toContain('stopped: all calls are held');
  expect(redriveText({ ...report, left: { odd: 2 } }, true)).toContain(
    'left out: 2 letters: their user IDs are odd and still refused',
  );
  expect(redriveText({ ...report, left: { invalid: 1 } }, false)).toContain(
    '--reason invalid --user ID, without an event ID',
  );
  expect(redriveText({ ...report, left: {}, givenUp: null }, true)).toBe(
    'would redrive 3 letters of 2 users\n',
  );
});
