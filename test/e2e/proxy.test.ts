import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { certificateFor } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { startSentCalls } from '../support/sent-calls.ts';
import { describeWithSquid, type Squid, startSquid } from '../support/squid.ts';
import { drained, endAll, linesOf, type Stage, setStage } from '../support/stage.ts';

const PASSWORD = 'p@ss/w#rd';
const LOGIN = { user: 'worker', password: PASSWORD };
/** A name that the proxy alone can resolve. */
const API_NAME = 'api.im.test';

let stage: Stage;
let folder: string;
let squid: Squid;
let api: Server;
const sockets: Socket[] = [];
let env: Readonly<Record<string, string>>;

describeWithSquid('a worker behind squid', () => {
  /** The API behind TLS, whose certificate a private authority has signed. */
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'imsync-proxy-'));
    stage = await setStage({ latencyMs: [5, 40] });
    const { cert, key, caFile } = certificateFor(folder, [API_NAME]);
    const { port } = new URL(stage.simulator.url);
    // 1.2: sent-calls.ts tells a call from a handshake by it.
    api = createServer({ cert, key, maxVersion: 'TLSv1.2' }, (socket) => {
      const onward = connect(Number(port), '127.0.0.1');
      sockets.push(socket, onward);
      for (const one of [socket, onward]) one.on('error', () => undefined);
      socket.pipe(onward).pipe(socket);
    });
    await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
    const apiPort = (api.address() as AddressInfo).port;
    squid = await startSquid({ login: LOGIN, names: [API_NAME], ports: [apiPort] });
    env = { IMSYNC_BASE_URL: `https://${API_NAME}:${apiPort}`, IMSYNC_CA_FILE: caFile };
  }, 120_000);

  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => api.close(resolve));
    await squid.stop();
    await stage.end();
    await rm(folder, { recursive: true, force: true });
  }, 120_000);

  const proxyUrl = (password: string, port = squid.port): string =>
    `http://${LOGIN.user}:${encodeURIComponent(password)}@127.0.0.1:${port}`;

  async function push(count: number, prefix: string): Promise<void> {
    const batch = stage.client.pipeline();
    for (let i = 0; i < count; i++) batch.xadd(stage.keys.stream, '*', 'userId', `${prefix}${i}`);
    await batch.exec();
  }

  test('all calls go through a real proxy: connections are kept, and the quota is used and never broken', async () => {
    const quota = 50;
    const sent = await startSentCalls(squid.port);
    const worker = await stage.worker({
      ...env,
      https_proxy: proxyUrl(PASSWORD, sent.port),
      IMSYNC_QUOTA_MULTIACCOUNT_IMPORT_PER_SECOND: String(quota),
    });
    expect(linesOf(worker, 'worker started')[0]).toMatchObject({
      proxy: `http://worker:***@127.0.0.1:${sent.port}`,
    });
    await push(15_000, 'u');
    await drained(stage);
    const { calls = 0, maxSurelyInRollingSecond: most } = {
      ...stage.simulator.report().commands.multiaccount_import,
    };
    expect(stage.simulator.accounts.size).toBe(15_000);
    // What is promised is when calls start.
    const started = sent.report();
    expect(started.calls).toBe(calls);
    expect(started.maxSurelyInRollingSecond).toBeLessThanOrEqual(quota);
    // Squid holds some up for longer than the 10 ms that a second has to spare, so that they bunch behind it.
    expect(most).toBeLessThanOrEqual(1.1 * quota);
    worker.signal('SIGTERM');
    await worker.ended;
    await sent.close();
    // A tunnel is logged when it ends.
    await eventually('the tunnels are logged', async () =>
      (await squid.log()).some((line) => line.includes('TCP_TUNNEL/200')),
    );
    const log = await squid.log();
    expect(log.filter((line) => line.includes('POST'))).toEqual([]);
    // A call each would be as many as calls. The slower the machine, the more are on the wire at a time.
    expect(log.filter((line) => line.includes('CONNECT')).length).toBeLessThan(calls / 2);
  }, 120_000);

  test('a proxy that wants another login is named in log, status and doctor; the right one is read without a restart', async () => {
    const file = join(folder, 'proxy-url');
    writeFileSync(file, proxyUrl('wrong-secret'));
    const through = { ...env, IMSYNC_PROXY_URL_FILE: file };
    const worker = await stage.worker(through);
    await stage.push({ userId: 'behind' });
    await eventually('calls are held', () => linesOf(worker, 'all calls are held').length > 0, 30_000);
    expect(linesOf(worker, 'all calls are held')[0]).toMatchObject({
      kind: 'proxy',
      errorInfo: expect.stringMatching(
        /no way through the proxy \(the proxy 127\.0\.0\.1:\d+ wants another user or password: HTTP 407\)$/,
      ),
      msg: expect.stringContaining(
        'It is the proxy in front of the API, not the API: check IMSYNC_PROXY_URL',
      ),
    });
    const status = await stage.verb(['status'], through);
    expect(status.stdout).toMatch(/^state +held \(proxy\)/m);
    const doctor = await stage.verb(['doctor'], through);
    expect(doctor.code).toBe(3);
    expect(doctor.stdout).toContain(
      `· Calls go through the proxy http://worker:***@127.0.0.1:${squid.port} (IMSYNC_PROXY_URL_FILE)`,
    );
    expect(doctor.stdout).toMatch(/✗ The API at \S+ cannot be asked: no way through the proxy/);
    const metrics = await stage.verb(['config'], through);

    writeFileSync(file, proxyUrl(PASSWORD));
    await drained(stage);
    expect(stage.simulator.accounts.has('behind')).toBe(true);
    await eventually('it is said', () => linesOf(worker, 'the hold is over').length > 0);
    const said = [...worker.lines, status.stdout, doctor.stdout, doctor.stderr, metrics.stdout].join('\n');
    for (const secret of ['wrong-secret', PASSWORD, encodeURIComponent(PASSWORD)])
      expect(said).not.toContain(secret);
    await endAll([worker]);
  }, 120_000);

  test('without the authority, and past a proxy that does not count, doctor says what to do', async () => {
    const { IMSYNC_BASE_URL = '' } = env;
    const unknown = await stage.verb(['doctor'], { IMSYNC_BASE_URL, IMSYNC_PROXY_URL: proxyUrl(PASSWORD) });
    expect(unknown.stdout).toMatch(
      /✗ The API at .*: the secure connection could not be made \(\w+: IMSYNC_CA_FILE names/,
    );
    const direct = await stage.verb(['doctor'], {
      ...env,
      HTTPS_PROXY: proxyUrl(PASSWORD),
      NO_PROXY: '.im.test',
    });
    expect(direct.stdout).toContain(
      '· Calls go out directly: the proxy that is set does not count for this host',
    );
    expect(direct.stdout).toMatch(
      /✗ The API at .*: the name of the host could not be resolved \(ENOTFOUND|EAI_AGAIN\)/,
    );
  }, 120_000);
});
