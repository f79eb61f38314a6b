import { firstRequests } from '../../../src/delivery/policy/split.ts';
import { commands, entryOf, pendingUserOf } from './entries.ts';

const users = ['a', 'b', 'c'].map((userId, n) => pendingUserOf(entryOf(userId, n)));
const failed = { at: 1_000, command: 'multiaccount_import', errorCode: 79_999, httpStatus: 200 } as const;
const idsOf = (list: readonly { readonly userId: string }[] = []): string =>
  list.map(({ userId }) => userId).join('');

it('a record that has not failed goes as one call', () => {
  const requests = firstRequests({ attempts: [], tries: 0 }, users, 0, commands);
  expect(requests.map((request) => idsOf(request.users))).toEqual(['abc']);
});

it.each([
  [1, 'b', 'ca'],
  [2, 'c', 'ab'],
  [3, 'a', 'bc'],
])('while nobody passes another user goes ahead in each run (%i)', (tries, ahead, behind) => {
  const requests = firstRequests({ attempts: [failed], tries }, users, 999, commands);
  expect(requests.map((request) => [idsOf(request.users), idsOf(request.behind?.users)])).toEqual([
    [ahead, behind],
  ]);
});

it('since others pass all go together, and another one stands first', () => {
  const requests = firstRequests({ attempts: [failed], tries: 1 }, users, 1_000, commands);
  expect(requests.map((request) => [idsOf(request.users), request.behind])).toEqual([['bca', undefined]]);
});
