import type { EmptyFailAccounts } from '../scenario/settings.ts';
import { errorInfoOf } from './error-info.ts';

/** One entry of the ResultItem list of account_check and account_delete. */
export interface ResultItem {
  readonly UserID: string;
  readonly ResultCode: number;
  readonly ResultInfo: string;
  readonly AccountStatus?: 'Imported' | 'NotImported';
}

/** What the API says to a call. */
export interface Answer {
  readonly code: number;
  readonly info: string;
  /** Only of a batch import that is OK; null and undefined are two of its shapes. */
  readonly failAccounts?: readonly string[] | null;
  readonly resultItems?: readonly ResultItem[];
}

export function refusal(code: number, command: string, info?: string): Answer {
  return { code, info: info ?? errorInfoOf(code, command) };
}

/**
 * The JSON text of an answer: ActionStatus, ErrorCode, ErrorInfo, FailAccounts or ResultItem, RequestId.
 * Source: "response fields" of the API references.
 */
export function renderAnswer(answer: Answer, requestId: string): string {
  return JSON.stringify({
    ActionStatus: answer.code === 0 ? 'OK' : 'FAIL',
    ErrorCode: answer.code,
    ErrorInfo: answer.info,
    FailAccounts: answer.failAccounts,
    ResultItem: answer.resultItems,
    RequestId: requestId,
  });
}

/** FailAccounts when no account failed; `turn` counts such answers, for the rotating shape. */
export function emptyFailAccounts(
  shape: EmptyFailAccounts,
  turn: number,
): readonly string[] | null | undefined {
  const index = shape === 'rotating' ? turn % 3 : ['empty', 'missing', 'null'].indexOf(shape);
  if (index === 0) return [];
  return index === 1 ? undefined : null;
}
