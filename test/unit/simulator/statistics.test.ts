import { CallLog } from '../../../simulator/traffic/statistics.ts';

describe('CallLog', () => {
  test('keeps the last calls and returns the oldest first', () => {
    const log = new CallLog(3);
    const seqs = () => [...log.entries()].map((entry) => entry.seq);
    for (let i = 1; i <= 2; i += 1) log.open('account_import', i);
    expect(seqs()).toEqual([1, 2]);
    for (let i = 3; i <= 5; i += 1) log.open('account_import', i);
    expect(seqs()).toEqual([3, 4, 5]);
    log.clear();
    expect(seqs()).toEqual([]);
    log.open('account_import', 6);
    expect(seqs()).toEqual([1]);
  });

  test('keeps nothing with a capacity of 0', () => {
    const log = new CallLog(0);
    expect(log.open('account_import', 1).outcome).toBe('pending');
    expect([...log.entries()]).toEqual([]);
  });
});
