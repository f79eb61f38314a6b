import type { CommandName } from '../src/im/commands.ts';
import { VERDICT_TABLES, type VerdictRow } from '../src/im/verdict-rows.ts';

/**
 * docs/answers.md, made from the verdict tables: every answer, what it means, and what the worker does. `npm
 * run docs` writes it; a test compares.
 */
export function answersMarkdown(): string {
  return [
    '# Every answer, and what the worker does',
    '',
    'Made from the verdict tables by `npm run docs`; do not edit. Classes:',
    '',
    ...Object.entries(CLASSES).map(([name, words]) => `- **${name}**: ${words}`),
    '',
    'A code can be declared to mean something else by the configuration, for every command: ' +
      '`"verdicts": {"70999": "retry"}` in a file.',
    ...SECTIONS.flatMap(section),
    '',
    '## No answer of the API',
    '',
    ...table(
      ['what came', 'class', 'what the worker does'],
      WITHOUT_CODE.map(([what, verdict, words]) => [what, verdict, words]),
    ),
    '',
  ].join('\n');
}

const CLASSES = {
  done: 'success; users in FailAccounts are looked after.',
  retry:
    'the same call again later: full-jitter back-off from 1 s to 60 s, up to a day of age (time held does not count).',
  throttle: 'the shared rate goes down and recovers; costs no attempt.',
  account: 'this account alone, for good.',
  body: 'something in this request: it is split in parts until the culprits are found, everybody else is imported by the way.',
  app: 'no call can succeed: all calls are held, nothing is dead-lettered, probes find the recovery.',
} as const;

const SECTIONS: readonly { readonly title: string; readonly command: CommandName; readonly more: string }[] =
  [
    {
      title: 'multiaccount_import, account_import',
      command: 'multiaccount_import',
      more:
        'Codes that are not listed are class unknown (see the end). account_check and account_delete share all codes ' +
        'from 60002 on; a check is a help only, and whatever it answers but a success, its users are called as without it.',
    },
    {
      title: 'register_account_v1',
      command: 'register_account_v1',
      more: 'Its own table: 70402 means the opposite here.',
    },
    {
      title: 'account_check, account_delete',
      command: 'account_check',
      more: 'A check is a help only: whatever it answers but a success, users are called as without it.',
    },
  ];

const WITHOUT_CODE: readonly (readonly [string, string, string])[] = [
  [
    'HTTP 5xx, 408, other 2xx; no answer in time; a reset; an unreadable 200',
    'retry',
    'called again later, not before the first call can no longer land (4 s after it left)',
  ],
  [
    'no connection, no address, no TLS',
    'retry',
    "called again later; after several in a row by the region's backup host",
  ],
  ['HTTP 429', 'throttle', "this command's rate goes down; Retry-After is honoured, up to a minute"],
  [
    'HTTP 413',
    'body',
    'split into five at once, and smaller calls are cut for ten minutes; alone: the profile is too large',
  ],
  ['HTTP 3xx, other 4xx', 'app', 'all calls are held: the host or the path is wrong'],
  [
    'a code that no table lists',
    'unknown',
    'tried again; once calls of others pass, split until the culprit is found; dead-lettered `unknown` only for an account called alone, three times',
  ],
];

function section({ title, command, more }: (typeof SECTIONS)[number]): string[] {
  const rows = [...effectiveRows(command)].flatMap((row) => row.codes.map((code) => ({ code, row })));
  rows.sort((a, b) => a.code - b.code);
  return [
    '',
    `## ${title}`,
    '',
    more,
    '',
    ...table(
      ['code', 'meaning', 'class', 'what the worker does', 'source'],
      rows.map(({ code, row }) => [String(code), row.meaning, row.class, actionOf(row), row.source]),
    ),
  ];
}

/** The rows that count: the later one of two rows for a code. */
function effectiveRows(command: CommandName): VerdictRow[] {
  const byCode = new Map<number, VerdictRow>();
  for (const row of VERDICT_TABLES[command])
    for (const code of row.codes) byCode.set(code, { ...row, codes: [code] });
  return [...byCode.values()];
}

function actionOf(row: VerdictRow): string {
  switch (row.class) {
    case 'done':
      return 'imported; older events of the user are superseded';
    case 'retry':
      return row.mayStillHappen
        ? 'called again later, not before this call can no longer land'
        : 'called again later';
    case 'throttle':
      return row.throttles === 'all' ? 'the rate of all commands goes down' : "this command's rate goes down";
    case 'account':
      return row.notBeforeMonths === undefined
        ? 'dead-lettered `rejected` once called alone'
        : `dead-lettered \`rejected\`, not before ${row.notBeforeMonths} months after it was first seen`;
    case 'body':
      return row.profileFault
        ? 'split; the account is imported without its profile, the event dead-lettered `profile`'
        : 'split; dead-lettered `rejected` once called alone';
    case 'app': {
      const signs = row.signAnew ? 'makes a new UserSig and tries once, then ' : '';
      const gap =
        row.minProbeGapMs === undefined ? '' : `, probes ${row.minProbeGapMs / 1000} s apart at least`;
      return `${signs}holds all calls (${row.holdKind ?? ''})${gap}`;
    }
    case 'unknown':
      return '';
  }
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}
