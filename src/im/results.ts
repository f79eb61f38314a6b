import { oneLine } from './one-line.ts';

/** What account_check or account_delete says about one user. */
interface UserResult {
  readonly resultCode: number;
  readonly resultInfo: string;
  /** account_check only; absent when the API did not say. */
  readonly imported?: boolean;
}

/**
 * ResultItem of account_check and account_delete by user: `[{UserID, ResultCode, ResultInfo, AccountStatus:
 * "Imported"|"NotImported"}]` (API reference, account_check). Items that make no sense are left out, so a user
 * may be missing from the answer: the caller must treat that as unknown.
 */
export function decodeResults(body: Readonly<Record<string, unknown>>): Map<string, UserResult> {
  const results = new Map<string, UserResult>();
  const items = Array.isArray(body.ResultItem) ? body.ResultItem : [];
  for (const item of items as unknown[]) {
    if (typeof item !== 'object' || item === null) continue;
    const { UserID, ResultCode, ResultInfo, AccountStatus } = item as Record<string, unknown>;
    if (typeof UserID !== 'string' || typeof ResultCode !== 'number') continue;
    results.set(UserID, {
      resultCode: ResultCode,
      resultInfo: oneLine(ResultInfo),
      ...(AccountStatus === 'Imported' && { imported: true }),
      ...(AccountStatus === 'NotImported' && { imported: false }),
    });
  }
  return results;
}

/** Whether each user of an account_check answer exists; a user the answer does not settle is not in it. */
export function decodeCheck(body: Readonly<Record<string, unknown>>): Map<string, boolean> {
  const imported = new Map<string, boolean>();
  for (const [userId, result] of decodeResults(body)) {
    if (result.resultCode === 0 && result.imported !== undefined) imported.set(userId, result.imported);
  }
  return imported;
}
