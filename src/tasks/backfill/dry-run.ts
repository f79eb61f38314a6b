import { isAbsent } from '../../event/event.ts';
import type { UserInput } from '../../event/fields.ts';
import type { Row } from '../rows/row.ts';
import { mangledNumber } from '../rows/spreadsheet-damage.ts';
import { type JudgeRules, judgeRow, kindOfReason } from './validate-row.ts';

/** What a file would give, found out without asking anybody. */
export interface DryRun {
  readonly rows: number;
  readonly valid: number;
  readonly rejected: number;
  /** Rejected rows by kind of reason, with the line of the first. */
  readonly reasons: readonly { readonly reason: string; readonly rows: number; readonly firstLine: number }[];
  readonly withNick: number;
  readonly withFaceUrl: number;
  /** A nick or picture over 500 bytes: the account is made without it. */
  readonly longProfiles: number;
  /** Need a call of their own. */
  readonly alone: number;
  readonly mangled: number;
}

/** More kinds than this are counted together: reasons may quote the file. */
const MAX_KINDS = 50;
const MORE = 'other reasons';

export async function dryRun(
  rows: AsyncIterable<Row>,
  rules: JudgeRules,
  isAlone: (user: UserInput) => boolean,
  onProgress: (rows: number) => void,
  signal: AbortSignal,
): Promise<DryRun> {
  const kinds = new Map<string, { rows: number; firstLine: number }>();
  const found = {
    rows: 0,
    valid: 0,
    rejected: 0,
    withNick: 0,
    withFaceUrl: 0,
    longProfiles: 0,
    alone: 0,
    mangled: 0,
  };
  for await (const row of rows) {
    if (signal.aborted) break;
    found.rows++;
    if (mangledNumber(row.user.userId) !== undefined) found.mangled++;
    const judged = judgeRow(row, rules);
    if (judged.ok) {
      found.valid++;
      if (!isAbsent(judged.user.nick)) found.withNick++;
      if (!isAbsent(judged.user.faceUrl)) found.withFaceUrl++;
      if (judged.isLong) found.longProfiles++;
      if (isAlone(judged.user)) found.alone++;
    } else {
      found.rejected++;
      count(kinds, kindOfReason(judged.reason), row.line);
    }
    if (found.rows % 1_000 === 0) onProgress(found.rows);
  }
  const reasons = [...kinds].map(([reason, kind]) => ({ reason, ...kind })).sort((a, b) => b.rows - a.rows);
  return { ...found, reasons };
}

function count(kinds: Map<string, { rows: number; firstLine: number }>, reason: string, line: number): void {
  const kind = kinds.get(reason) ?? kinds.get(MORE);
  if (kind !== undefined) kind.rows++;
  else kinds.set(kinds.size < MAX_KINDS ? reason : MORE, { rows: 1, firstLine: line });
}
