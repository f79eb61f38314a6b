import { readFileSync } from 'node:fs';
import type { Answer } from '../../../src/im/answers.ts';
import { COMMANDS, type CommandName } from '../../../src/im/commands.ts';
import { VERDICT_TABLES } from '../../../src/im/verdict-rows.ts';
import { isListedCode, type Verdict, verdictOf } from '../../../src/im/verdicts.ts';

const facts = readFileSync(new URL('../../../docs/api.md', import.meta.url), 'utf8');
const section = /## 3\. [\s\S]*?(?=\n## 4\.)/.exec(facts)?.[0] ?? '';

/** The document's rows: code → what its class column says. */
const documented = new Map(
  [...section.matchAll(/^\| ([\d, ]+) \|[^|]*\| ([^|]+) \|$/gm)].flatMap(([, codes = '', words = '']) =>
    codes.split(',').map((code) => [Number(code), words.trim()] as const),
  ),
);

function api(command: CommandName, errorCode: number): Verdict {
  const answer: Answer = {
    kind: 'api',
    httpStatus: 200,
    errorCode,
    errorInfo: 'said',
    failAccounts: [],
    body: {},
  };
  return verdictOf(command, answer);
}

/** The class column's words as this project's verdict. */
function expected(words: string): Partial<Verdict> {
  if (words.startsWith('make a new UserSig')) return { class: 'app', signAnew: true };
  if (words.startsWith('throttle')) {
    return { class: 'throttle', throttles: words.includes('this command') ? 'command' : 'all' };
  }
  if (words.includes('60 s')) return { class: 'app', minProbeGapMs: 60_000 };
  if (words.includes('not-before')) return { class: 'account', notBeforeMonths: 3 };
  if (words.includes('once isolated')) return { class: 'body', profileFault: true };
  return { class: words.split(/[ ;,]/)[0] as Verdict['class'] };
}

describe('the import tables and the documented one', () => {
  it('were found', () => {
    expect(documented.size).toBe(
      [...section.matchAll(/^\| (\d[\d, ]*)/gm)].flatMap(([, codes = '']) => codes.split(',')).length,
    );
  });

  it.each([...documented])('agree on %i: %s', (code, words) => {
    for (const command of ['multiaccount_import', 'account_import'] as const) {
      expect(api(command, code)).toMatchObject(expected(words));
    }
  });

  it('list the same codes', () => {
    const listed = VERDICT_TABLES.multiaccount_import.flatMap(({ codes }) => codes);
    expect([...listed].sort()).toEqual([...documented.keys()].sort());
    expect(VERDICT_TABLES.account_import).toEqual(VERDICT_TABLES.multiaccount_import);
  });
});

describe('register_account_v1', () => {
  const paragraph = /\*\*register_account_v1 has its own table\*\*: (.*)/.exec(section)?.[1] ?? '';
  const own = new Map<number, string>();
  for (const part of paragraph.split(/[;.] /)) {
    const verdict = /\b(done|retry|app|body|account)\b(?! already)/.exec(part.replace(/\*[^*]*\*/g, ''))?.[0];
    for (const [code] of part.matchAll(/\d{5}/g)) if (verdict !== undefined) own.set(Number(code), verdict);
  }

  it('agrees with its paragraph, code by code', () => {
    expect(own.size).toBe(7);
    for (const [code, verdict] of own)
      expect([code, api('register_account_v1', code).class]).toEqual([code, verdict]);
  });

  it('has no other code of its own', () => {
    const shared = new Set(VERDICT_TABLES.account_check);
    const rows = VERDICT_TABLES.register_account_v1.filter((row) => !shared.has(row));
    expect(rows.flatMap(({ codes }) => codes).sort()).toEqual([...own.keys()].sort());
  });

  it('gives 70402 the opposite meaning', () => {
    expect(api('register_account_v1', 70402).class).toBe('done');
    expect(api('account_import', 70402).class).toBe('body');
  });

  it('knows no profile codes', () => {
    expect(api('register_account_v1', 40005).class).toBe('unknown');
  });
});

describe('every row', () => {
  const all = Object.entries(VERDICT_TABLES).flatMap(([command, rows]) =>
    rows.map((row) => [command, row.codes.join(' '), row] as const),
  );
  it.each(all)('%s %s is complete', (_command, _codes, row) => {
    expect(row.meaning).not.toBe('');
    expect(row.source).toMatch(/^API reference, /);
    expect(row.holdKind !== undefined).toBe(row.class === 'app');
    expect(row.throttles !== undefined).toBe(row.class === 'throttle');
    expect(row.class !== 'unknown').toBe(true);
  });

  it.each(Object.keys(COMMANDS) as CommandName[])('%s has no contradicting rows', (command) => {
    const rows = VERDICT_TABLES[command].filter((row) => row.source !== 'API reference, register_account_v1');
    const codes = rows.flatMap((row) => row.codes);
    expect(new Set(codes).size).toBe(codes.length);
  });
});

describe('an answer of the API', () => {
  it('is unknown and keeps its text if no table lists its code', () => {
    expect(api('account_import', 12345)).toMatchObject({
      class: 'unknown',
      errorCode: 12345,
      errorInfo: 'said',
      httpStatus: 200,
      outcomeKnown: true,
    });
    expect(isListedCode('account_import', 12345)).toBe(false);
    expect(isListedCode('account_import', 70402)).toBe(true);
  });

  it('may still take effect only after a time-out inside the service', () => {
    const open = [...documented.keys()].filter((code) => !api('multiaccount_import', code).outcomeKnown);
    expect(open.sort()).toEqual([60008, 60013, 60014, 70169, 70202]);
    expect(api('register_account_v1', 70405).outcomeKnown).toBe(false);
  });
});

describe('an answer that is not of the API', () => {
  it.each([
    [500, { class: 'retry', outcomeKnown: false }],
    [502, { class: 'retry', outcomeKnown: false }],
    [408, { class: 'retry', outcomeKnown: false }],
    [204, { class: 'retry', outcomeKnown: false }],
    [429, { class: 'throttle', throttles: 'command', retryAfterMs: 7000, outcomeKnown: true }],
    [301, { class: 'app', holdKind: 'configuration', outcomeKnown: true }],
    [403, { class: 'app', holdKind: 'configuration', outcomeKnown: true }],
    [404, { class: 'app', holdKind: 'configuration', outcomeKnown: true }],
  ])('HTTP %i is %j', (httpStatus, verdict) => {
    const answer: Answer = { kind: 'http', httpStatus, errorInfo: 'page', retryAfterMs: 7000 };
    expect(verdictOf('account_import', answer)).toMatchObject({
      ...verdict,
      errorCode: 0,
      errorInfo: 'page',
      httpStatus,
    });
  });

  it.each(['timeout', 'reset', 'connect', 'dns', 'tls', 'garbage', 'aborted'] as const)(
    '%s is a retry',
    (fault) => {
      for (const sent of [true, false]) {
        const verdict = verdictOf('account_import', { kind: 'fault', fault, errorInfo: 'why', sent });
        expect(verdict).toMatchObject({ class: 'retry', errorCode: 0, httpStatus: 0, errorInfo: 'why' });
        expect(verdict.outcomeKnown).toBe(!sent);
      }
    },
  );
});
