import { audit } from '../support/audit.ts';
import { eventually } from '../support/eventually.ts';
import { drained, type Stage, setStage } from '../support/stage.ts';

let stage: Stage;
afterEach(() => stage.end(), 60_000);

test('the work of a killed worker is done by the next one, and nothing is lost', async () => {
  stage = await setStage({ latencyMs: [2_000, 2_000] });
  const first = await stage.worker({ IMSYNC_BATCH_MAX_SIZE: '5' });
  for (let i = 0; i < 60; i++) await stage.push({ userId: `u${i}`, nick: 'old' });
  const pending = () => stage.simulator.calls().filter(({ outcome }) => outcome === 'pending').length;
  await eventually('calls on the wire', () => pending() >= 3);
  first.signal('SIGKILL');
  await first.ended;
  // Newer events of users whose call may still land.
  for (let i = 0; i < 60; i += 3) await stage.push({ userId: `u${i}`, nick: 'new' });
  stage.simulator.setFaults({});

  const second = await stage.worker({ IMSYNC_BATCH_MAX_SIZE: '5' });
  const startedAtMs = performance.now();
  await drained(stage);
  const tookMs = performance.now() - startedAtMs;
  // 15 s are the promise; a busy machine may take longer without breaking it, so this one only says it.
  second.signal('SIGTERM');
  await second.ended;
  expect(stage.simulator.accounts.size).toBe(60);
  for (let i = 0; i < 60; i++) {
    expect([i, stage.simulator.accounts.get(`u${i}`)?.nick]).toEqual([i, i % 3 === 0 ? 'new' : 'old']);
  }
  expect((await audit(stage.client, stage.keys)).problems).toEqual([]);
  process.stderr.write(`killed.test.ts: taken over and done after ${Math.round(tookMs)} ms\n`);
}, 120_000);
