import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { TEST_APP } from '../simulator.ts';
import { drained } from '../stage.ts';
import { type Expected, holdOf, type Scene } from './scene.ts';

/** Codes of the page by which each kind of hold is caused. */
const held = (kind: string, code: number): Expected => ({
  shows: [new RegExp(`^state +held \\(${kind}\\) since \\d{4}-`, 'm'), new RegExp(`^ +${code} `, 'm')],
});
const recover: Scene['mend'] = (set) => set.recover();

/** All entries below *Holds*: the worker holds, the page's commands say why, and the mended cause ends it. */
export const holdScenes: Readonly<Record<string, Scene>> = {
  Holds: {
    cause: async (set) => {
      await set.worker();
      await set.hold('disabled', { errorCode: 60020 });
    },
    commands: { 'imsync status': held('disabled', 60020) },
    mend: recover,
  },
  credentials: {
    cause: async (set) => {
      const key = join(set.folder, 'key');
      writeFileSync(key, 'f'.repeat(64));
      set.env = { ...set.env, IMSYNC_SDK_SECRET_KEY: '', IMSYNC_SDK_SECRET_KEY_FILE: key };
      await set.worker();
      await set.stage.push({ userId: 'held' });
      await holdOf(set.stage, 'credentials');
    },
    commands: {
      'imsync doctor': {
        code: 1,
        shows: [/✗ .*credentials/, /70009/, /✓ The clocks of the API and this machine agree/],
      },
    },
    // Without a restart.
    async mend(set) {
      writeFileSync(join(set.folder, 'key'), TEST_APP.secretKey);
      await set.logged('the hold is over');
      await drained(set.stage);
    },
  },
  region: {
    cause: async (set) => {
      await set.worker();
      await set.hold('region', { errorCode: 70020 });
    },
    commands: {
      'imsync doctor': { code: 1, shows: [/✗ The API at \S+ does not know this SDKAppID: 70020/] },
    },
    async mend(set) {
      await set.recover();
      expect((await set.run('imsync doctor')).output).toMatch(/✓ The API knows SDKAppID/);
    },
  },
  permission: {
    cause: async (set) => {
      await set.worker();
      await set.hold('permission', { errorCode: 60021 });
    },
    commands: { 'imsync status': held('permission', 60021) },
    mend: recover,
  },
  quota: {
    cause: async (set) => {
      await set.worker();
      await set.hold('quota', { errorCode: 70398 });
    },
    commands: { 'imsync status': held('quota', 70398) },
    mend: recover,
  },
  disabled: {
    cause: async (set) => {
      await set.worker();
      await set.hold('disabled', { errorCode: 60016 });
    },
    commands: { 'imsync status': held('disabled', 60016) },
    mend: recover,
  },
  configuration: {
    cause: async (set) => {
      await set.worker();
      await set.hold('configuration', { errorCode: 60006, errorInfo: 'the SDKAppID is invalid' });
    },
    commands: {
      'imsync status': {
        shows: [/^state +held \(configuration\)/m, /^ +60006 the SDKAppID is invalid; next probe/m],
      },
    },
    mend: recover,
  },
  proxy: proxyScene(),
  outage: {
    cause: async (set) => {
      await set.worker();
      await set.hold('outage', { reset: 'before' });
    },
    commands: {
      'imsync doctor': { code: 3, shows: [/✗ The API at \S+ does not answer: the connection broke/] },
    },
    mend: recover,
  },
  brake: {
    cause: async (set) => {
      const { simulator, client, keys } = set.stage;
      await set.worker();
      simulator.setFaults({ rules: [{ action: { errorCode: 79999 } }] });
      const batch = client.pipeline();
      for (let i = 0; i < 600; i++) batch.xadd(keys.stream, '*', 'userId', `u${i}`);
      await batch.exec();
      await holdOf(set.stage, 'brake');
      set.means.ID = 'u3';
    },
    commands: {
      'imsync status': {
        shows: [/^state +held \(brake\)/m, /^ +79999 five calls in a row .* the last answer: /m],
      },
      'imsync user show ID': { shows: [/^user +"u3"$/m, /^state +in a call; all calls are held$/m] },
    },
    mend: recover,
  },
};

/** An API at http:// is asked for in full at its proxy, so a server that answers is proxy enough. */
function proxyScene(): Scene {
  let refuses = true;
  const proxy = createServer((_request, response) => {
    if (refuses) response.writeHead(407).end();
    else response.end('{"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":""}');
  });
  return {
    async cause(set) {
      await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
      const { port } = proxy.address() as AddressInfo;
      set.env = { ...set.env, IMSYNC_PROXY_URL: `http://worker:secret@127.0.0.1:${port}` };
      await set.worker();
      await set.stage.push({ userId: 'held' });
      await holdOf(set.stage, 'proxy');
    },
    commands: {
      'imsync status': {
        shows: [/^state +held \(proxy\)/m, /HTTP 407 the proxy wants another user or password/],
      },
      'imsync doctor': {
        code: 3,
        shows: [
          /· Calls go through the proxy http:\/\/worker:\*\*\*@\S+ \(IMSYNC_PROXY_URL\)/,
          /✗ The API at \S+ cannot be asked: HTTP 407/,
        ],
      },
    },
    async mend(set) {
      refuses = false;
      await set.logged('the hold is over');
      await drained(set.stage);
      proxy.closeAllConnections();
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}
