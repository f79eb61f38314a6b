import { spawnSync } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { eventually } from '../support/eventually.ts';
import { TEST_APP, userSigForTest } from '../support/simulator.ts';
import { drained, endAll, type Stage, setStage } from '../support/stage.ts';

/** The form of any UserSig: deflated JSON in the API's own base64. */
const USER_SIG = /eJ[\w*-]{60,}/;
const PASSWORD = 'pass"w0rd&x';

let stage: Stage;
let gossip: Server;
const seen: string[] = [];
let turn = 0;

/** An API and a gateway that repeat the address of the request in every answer. */
beforeAll(async () => {
  stage = await setStage();
  gossip = createServer((request, response) => {
    const url = request.url ?? '';
    seen.push(url);
    let body = '';
    request.on('data', (chunk) => {
      body += String(chunk);
    });
    request.on('end', () => {
      const said = `${url} ${decodeURIComponent(url)} ${body}`;
      const verdict = (ErrorCode: number) =>
        JSON.stringify({ ActionStatus: 'FAIL', ErrorCode, ErrorInfo: said, RequestId: url.slice(-90) });
      turn++;
      if (turn === 1) response.end(verdict(70500));
      else if (turn === 2) response.writeHead(502).end(`<html><h1>Bad gateway</h1>${said}</html>`);
      else if (turn === 3) response.end(`<html>${said}`);
      else if (turn === 4) request.socket.destroy();
      else if (turn === 5) response.end(verdict(60016));
      else if (turn === 6) response.end(verdict(60007));
      else if (turn === 7) response.writeHead(404).end(said);
      else if (url.includes('register_account_v1')) response.end(verdict(70419));
      else response.end(verdict(body.includes('odd') ? 79999 : 70402));
    });
  });
  await new Promise<void>((resolve) => {
    gossip.listen(0, '127.0.0.1', resolve);
  });
}, 120_000);
afterAll(async () => {
  gossip.closeAllConnections();
  await new Promise((resolve) => gossip.close(resolve));
  await stage.end();
}, 120_000);

test.each(['current', 'hosted'])(
  'in the %s form no secret is printed or stored',
  async (form) => {
    turn = 0;
    seen.length = 0;
    const { port } = gossip.address() as AddressInfo;
    const env = {
      IMSYNC_BASE_URL: `http://127.0.0.1:${port}`,
      IMSYNC_API: form,
      IMSYNC_LOG_LEVEL: 'trace',
      IMSYNC_RETRY_BASE_MS: '1',
      IMSYNC_RETRY_MAX_MS: '10',
    };
    const worker = await stage.worker(env);
    const hosted = { identifierType: '3', password: PASSWORD };
    const before = await stage.client.zcard(stage.keys.deadByTime);
    // At once, so that one call carries them: of two calls that fail while none passes, nobody knows whose fault
    // a code is that no table lists, and its user would be retried for a day.
    await Promise.all([
      ...['some.body', 'odd.body'].map((userId) => stage.push({ userId, nick: 'Nick', ...hosted })),
      stage.push({ userId: 'no body', ...hosted }),
    ]);
    // The faults cost a hold with its probes and some waits for calls that may still land.
    await drained(stage, 150_000);
    await eventually(
      'the letters',
      async () => (await stage.client.zcard(stage.keys.deadByTime)) >= before + 3,
    );
    const { url } = await worker.line('ops server listens: /livez, /readyz, /status, /metrics');
    const paths = ['/livez', '/readyz', '/status', '/metrics', '/nowhere'];
    const pages = (
      await Promise.all(paths.map((path) => fetch(`${String(url)}${path}`).then((page) => page.text())))
    ).join('\n');
    const processes = spawnSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).stdout;
    worker.signal('SIGTERM');
    await worker.ended;
    await endAll([worker]);
    const { stdout: list } = await stage.verb(['dlq', 'list', '--json']);
    const { stdout: status } = await stage.verb(['status', '--json']);
    const { stdout: config } = await stage.verb(['config', '--json'], env);

    // The secrets were really there to be leaked.
    expect(turn).toBeGreaterThan(7);
    expect(seen.every((url) => USER_SIG.test(decodeURIComponent(url)))).toBe(true);
    expect(userSigForTest()).toMatch(USER_SIG);

    const places = {
      log: worker.lines.join('\n'),
      stderr: worker.stderr(),
      list,
      status,
      config,
      pages,
      processes,
    };
    const everywhere = { ...places, redis: await dump() };
    for (const [place, text] of Object.entries(everywhere)) {
      expect([place, text.includes(TEST_APP.secretKey)]).toEqual([place, false]);
      expect([place, USER_SIG.exec(text)?.[0], USER_SIG.exec(percentDecoded(text))?.[0]]).toEqual([
        place,
        undefined,
        undefined,
      ]);
      // Outside hosted mode the API never hears a password, so that nothing of its making can repeat it.
      for (const form of [PASSWORD, JSON.stringify(PASSWORD).slice(1, -1)]) {
        expect([place, text.includes(form)]).toEqual([place, false]);
      }
    }
    expect(pages).toContain('imsync_api_calls_total');
    expect(everywhere.redis).toContain('some.body');
    expect(places.log).toContain(form === 'current' ? '60016' : '70419');
  },
  240_000,
);

/** Every key and value of the whole Redis, as text. */
async function dump(): Promise<string> {
  const { client } = stage;
  const parts: string[] = [];
  const keys = await client.keys('*');
  for (const key of keys) {
    const type = await client.type(key);
    const value =
      type === 'string'
        ? await client.get(key)
        : type === 'hash'
          ? await client.hgetall(key)
          : type === 'list'
            ? await client.lrange(key, 0, -1)
            : type === 'set'
              ? await client.smembers(key)
              : type === 'zset'
                ? await client.zrange(key, '0', '-1')
                : await client.xrange(key, '-', '+');
    parts.push(key, JSON.stringify(value));
  }
  return parts.join('\n');
}

function percentDecoded(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
