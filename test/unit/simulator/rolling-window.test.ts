import { seededRandom } from '../../../simulator/randomness.ts';
import { RollingWindow } from '../../../simulator/traffic/rolling-window.ts';

describe('RollingWindow', () => {
  test('two instants a full width apart do not share a window', () => {
    const window = new RollingWindow(1000);
    expect(window.add(5000)).toBe(1);
    expect(window.add(5999.999)).toBe(2);
    expect(window.add(6000)).toBe(2);
    expect(window.count(6999.998)).toBe(2);
    expect(window.count(7000)).toBe(0);
  });

  test('agrees with counting one by one, also when the ring grows', () => {
    const random = seededRandom(7);
    const window = new RollingWindow(100);
    const instants: number[] = [];
    let nowMs = 0;
    for (let i = 0; i < 3000; i += 1) {
      // Bursts and pauses, so that the ring grows past its first size and empties again.
      nowMs += i % 500 === 499 ? 250 : random() * (i % 700 < 350 ? 0.2 : 20);
      instants.push(nowMs);
      const expected = instants.filter((at) => at > nowMs - 100).length;
      expect(window.add(nowMs)).toBe(expected);
    }
  });
});
