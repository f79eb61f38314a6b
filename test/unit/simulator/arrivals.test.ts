import { seededRandom } from '../../../simulator/randomness.ts';
import { RollingWindow, StallWatch, TICK_MS } from '../../../simulator/traffic/arrivals.ts';

/** One turn of the loop: it has polled for arrivals and runs the next tick. */
function turn(watch: StallWatch, atMs: number): void {
  watch.polled();
  watch.tick(atMs);
}

describe('StallWatch', () => {
  test('trusts timestamps while ticks are on time', () => {
    const watch = new StallWatch(0);
    for (let at = TICK_MS; at <= 50; at += TICK_MS) turn(watch, at);
    expect(watch.earliest(50)).toBe(50);
    expect(watch.earliest(54)).toBe(54);
    expect(watch.longestStallMs).toBe(0);
  });

  test('after a stall an arrival may be as old as the tick before it', () => {
    const arrivalFirst = new StallWatch(0);
    turn(arrivalFirst, 5);
    expect(arrivalFirst.earliest(105)).toBe(0);
    const tickFirst = new StallWatch(0);
    turn(tickFirst, 5);
    turn(tickFirst, 105);
    expect(tickFirst.earliest(106)).toBe(5);
    expect(tickFirst.longestStallMs).toBe(100 - TICK_MS);
  });

  test('several ticks of one turn count as one', () => {
    const watch = new StallWatch(0);
    turn(watch, 2);
    turn(watch, 22);
    watch.tick(24.5);
    watch.tick(27);
    expect(watch.earliest(27.5)).toBe(2);
    // Arrivals of the next turn came after the stall.
    turn(watch, 29);
    turn(watch, 31);
    expect(watch.earliest(32)).toBe(32);
  });

  test('a stall does not make an even pace look like too many arrivals', () => {
    const raw = new RollingWindow(1000);
    const sure = new RollingWindow(1000);
    const watch = new StallWatch(0);
    let maxRaw = 0;
    let maxSure = 0;
    let nextTickMs = TICK_MS;
    for (let i = 0; i < 400; i += 1) {
      // A hundred calls arrive per second. From 1500 to 1600 the loop stalls.
      const cameAtMs = i * 10;
      const stampMs = cameAtMs > 1500 && cameAtMs < 1600 ? 1600 : cameAtMs;
      for (; nextTickMs <= stampMs; nextTickMs += TICK_MS) {
        if (nextTickMs <= 1500 || nextTickMs >= 1600) turn(watch, nextTickMs);
      }
      maxRaw = Math.max(maxRaw, raw.add(stampMs));
      maxSure = Math.max(maxSure, sure.add(stampMs, watch.earliest(stampMs)));
    }
    expect(maxRaw).toBe(109);
    expect(maxSure).toBe(100);
    expect(watch.longestStallMs).toBe(100 - TICK_MS);
  });
});

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
