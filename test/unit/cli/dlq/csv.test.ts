import { parse } from 'csv-parse/sync';
import { csvHead, csvRow } from '../../../../src/cli/dlq/csv.ts';
import { letterText } from '../../../../src/cli/dlq/text.ts';
import type { StoredLetter } from '../../../../src/ledger/letters/dead-letters.ts';

function letter(nick: string): StoredLetter {
  return {
    ...{ eventId: '1743700123000-0', userId: '@RBT#1', reason: 'profile', errorCode: 40005, httpStatus: 200 },
    ...{ errorInfo: 'nick, "refused"', command: 'account_import', event: { userId: '@RBT#1', nick } },
    ...{ attempts: [], redrives: [], firstSeenAt: 0, deadSince: 1_000, firstDeadAt: 1_000, notBefore: null },
    state: 'dead',
  };
}

test.each(['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '=HYPERLINK("http://x","y")'])(
  '%j is no formula in a spreadsheet',
  (nick) => {
    const [row] = parse(csvHead + csvRow(letter(nick)), { bom: true, columns: true }) as Record<
      string,
      string
    >[];
    expect(row).toMatchObject({ nick: `'${nick}`, userId: "'@RBT#1", errorInfo: 'nick, "refused"' });
    expect(row).toMatchObject({ errorCode: '40005', deadSince: '1970-01-01T00:00:01.000Z', notBefore: '' });
  },
);

test('lines and quotes stay inside of a cell, and other text is as it is', () => {
  const rows = parse(csvHead + csvRow(letter('a\r\n"b"')) + csvRow(letter('李雷')), {
    bom: true,
    columns: true,
  });
  expect(rows).toMatchObject([{ nick: 'a\r\n"b"' }, { nick: '李雷' }]);
});

test('a right-to-left override is shown, and does not turn the line around', () => {
  const text = letterText(letter('a\u202Egpj.\u2066b'), 0);
  expect(text).toContain(String.raw`nick = "a\u202egpj.\u2066b"`);
  expect(text).not.toMatch(/[\p{Cf}]/u);
});
