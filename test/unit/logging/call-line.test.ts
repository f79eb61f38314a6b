import type { CallReport } from '../../../src/delivery/delivery-report.ts';
import { readAnswer } from '../../../src/im/answers.ts';
import { withoutUsers } from '../../../src/im/redact.ts';
import { verdictOf } from '../../../src/im/verdicts.ts';
import { callLine } from '../../../src/logging/call-line.ts';

function call(errorCode: number, more: Partial<CallReport>, errorInfo = ''): CallReport {
  const body = JSON.stringify({ ErrorCode: errorCode, ErrorInfo: errorInfo });
  return {
    callId: 'c1',
    command: 'multiaccount_import',
    slotClass: 'live',
    users: Array.from({ length: 100 }, (_, i) => `user-${i}`),
    strangers: 0,
    tries: 0,
    verdict: verdictOf('multiaccount_import', readAnswer(200, {}, body)),
    fault: undefined,
    durationMs: 23.4,
    imported: 0,
    deadLettered: 0,
    later: 0,
    again: 0,
    requestId: undefined,
    ...more,
  };
}

describe('the line of a call', () => {
  it('is short when all went well', () => {
    expect(callLine(call(0, { imported: 100 }))).toEqual({
      sentence: 'call made: imported 100 users',
      fields: {
        callId: 'c1',
        command: 'multiaccount_import',
        class: 'live',
        users: 100,
        imported: 100,
        errorCode: 0,
        ms: 23,
      },
    });
    expect(callLine(call(0, { imported: 1, users: ['user-1'] })).sentence).toBe('call made: imported 1 user');
  });

  it('accounts for every user otherwise', () => {
    expect(callLine(call(0, { imported: 98, again: 2 })).sentence).toBe(
      'call made: imported 98 of 100 users, 2 to be sent again',
    );
    expect(callLine(call(70500, { later: 100 }, 'busy'))).toEqual({
      sentence: 'call answered: internal error of the service; of 100 users: 100 to be retried',
      fields: {
        callId: 'c1',
        command: 'multiaccount_import',
        class: 'live',
        users: 100,
        imported: 0,
        later: 100,
        errorCode: 70500,
        verdict: 'retry',
        errorInfo: 'busy',
        ms: 23,
      },
    });
  });

  it('names no user, though the API does', () => {
    const line = callLine(call(70402, { again: 100 }, 'UserID user-17 and "user-3" are bad'));
    expect(JSON.stringify(line)).not.toMatch(/user-\d/);
    expect(line.fields).toMatchObject({ errorInfo: 'UserID (user) and "(user)" are bad' });
  });

  it('cuts short IDs only where they stand alone', () => {
    expect(withoutUsers('user 7 of 70402: id=7, [u1].', ['7', 'u1'])).toBe(
      'user (user) of 70402: id=(user), [(user)].',
    );
    expect(withoutUsers('alice@example and alice@example2', ['alice@example', 'alice@example2'])).toBe(
      '(user) and (user)',
    );
  });
});
