import { readFileSync } from 'node:fs';
import { answersMarkdown } from '../../../scripts/answer-table.ts';
import type { Answer } from '../../../src/im/answers.ts';
import { VERDICT_TABLES } from '../../../src/im/verdict-rows.ts';
import { verdictOf } from '../../../src/im/verdicts.ts';

const read = (name: string): string =>
  readFileSync(new URL(`../../../docs/${name}`, import.meta.url), 'utf8');
const facts = /## 3\. [\s\S]*?(?=\n## 4\.)/.exec(read('api.md'))?.[0] ?? '';
const answers = read('answers.md');

/** Rows of a section of docs/answers.md: code → class. */
function listed(title: string): Map<number, string> {
  const section = answers.split(/^## /m).find((part) => part.startsWith(title)) ?? '';
  const rows = [...section.matchAll(/^\| (\d+) \|[^|]*\| (\w+) \|/gm)];
  return new Map(rows.map(([, code, verdict]) => [Number(code), verdict ?? '']));
}

it('docs/answers.md equals the verdict tables (npm run docs writes it)', () => {
  expect(answers).toBe(answersMarkdown());
});

it('it has exactly the rows of the documented table', () => {
  const documented = [...facts.matchAll(/^\| (\d[\d, ]*) \|/gm)].flatMap(([, codes = '']) =>
    codes.split(',').map(Number),
  );
  const imports = listed('multiaccount_import, account_import');
  expect([...imports.keys()].sort()).toEqual([...documented].sort());
  const paragraph = /\*\*register_account_v1 has its own table\*\*: (.*)/.exec(facts)?.[1] ?? '';
  const own = [...paragraph.matchAll(/\b7\d{4}\b/g)].map(([code]) => Number(code));
  const register = listed('register_account_v1');
  const shared = new Set(VERDICT_TABLES.account_check.flatMap(({ codes }) => codes));
  expect([...register.keys()].filter((code) => !shared.has(code) || code === 70402).sort()).toEqual(
    [...own].sort(),
  );
  expect(register.get(70402)).toBe('done');
  expect(imports.get(70402)).toBe('body');
});

describe('the documented rows without a code', () => {
  const httpWords = /^\| HTTP (5xx[^|]*) \|[^|]*\| ([^|]*) \|$/m.exec(facts);
  const otherWords = /^\| other HTTP 4xx \|[^|]*\| (\w+) \|$/m.exec(facts);
  const anythingElse = /^\| anything else \| unknown \| ([^|]*) \|$/m.exec(facts);

  it('are the ones we know', () => {
    expect(httpWords?.[1]).toBe('5xx, 408, 429, time-out, reset, DNS, TLS, unparsable 200');
    expect(httpWords?.[2]).toBe('retry (429: throttle, honour Retry-After)');
    expect(otherWords?.[1]).toBe('app');
    expect(anythingElse?.[1]).toMatch(/^retry a few times, then dead-letter/);
  });

  it.each([
    [{ kind: 'http', httpStatus: 500, errorInfo: '' }, 'retry'],
    [{ kind: 'http', httpStatus: 503, errorInfo: '' }, 'retry'],
    [{ kind: 'http', httpStatus: 408, errorInfo: '' }, 'retry'],
    [{ kind: 'http', httpStatus: 429, errorInfo: '' }, 'throttle'],
    [{ kind: 'http', httpStatus: 404, errorInfo: '' }, 'app'],
    [{ kind: 'fault', fault: 'timeout', errorInfo: '', sent: true }, 'retry'],
    [{ kind: 'fault', fault: 'reset', errorInfo: '', sent: true }, 'retry'],
    [{ kind: 'fault', fault: 'dns', errorInfo: '', sent: false }, 'retry'],
    [{ kind: 'fault', fault: 'tls', errorInfo: '', sent: false }, 'retry'],
    [{ kind: 'fault', fault: 'garbage', errorInfo: '', sent: true }, 'retry'],
    [
      { kind: 'api', httpStatus: 200, errorCode: 99999, errorInfo: '', failAccounts: [], body: {} },
      'unknown',
    ],
  ] as [Answer, string][])('%j is %s', (answer, verdict) => {
    expect(verdictOf('multiaccount_import', answer).class).toBe(verdict);
  });
});

describe('declared verdicts', () => {
  const api = (errorCode: number): Answer => ({
    kind: 'api',
    httpStatus: 200,
    errorCode,
    errorInfo: 'x',
    failAccounts: [],
    body: {},
  });

  it('apply to every command and have only the consequences of their own class', () => {
    const overrides = {
      70999: 'retry',
      70402: 'account',
      40005: 'retry',
      70001: 'throttle',
      70500: 'app',
    } as const;
    for (const command of ['multiaccount_import', 'register_account_v1'] as const) {
      expect(verdictOf(command, api(70999), overrides)).toMatchObject({
        class: 'retry',
        outcomeKnown: false,
      });
      expect(verdictOf(command, api(70402), overrides).class).toBe('account');
    }
    const transient = verdictOf('account_import', api(40005), overrides);
    expect(transient.class).toBe('retry');
    expect(transient.profileFault).toBeUndefined();
    const slower = verdictOf('account_import', api(70001), overrides);
    expect(slower).toMatchObject({ class: 'throttle', throttles: 'command' });
    expect(slower.signAnew).toBeUndefined();
    expect(verdictOf('account_import', api(70500), overrides)).toMatchObject({
      class: 'app',
      holdKind: 'configuration',
    });
    expect(verdictOf('account_import', api(70500), overrides).meaning).toContain(
      'declared app by the configuration',
    );
  });

  it('change nothing if they equal the table', () => {
    expect(verdictOf('account_import', api(40005), { 40005: 'body' })).toEqual(
      verdictOf('account_import', api(40005)),
    );
  });
});
