import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '../eventually.ts';
import type { ImsyncProcess } from '../process.ts';
import { drained, linesOf, type Stage, setStage } from '../stage.ts';

/** The state that an entry of the runbook is about, and what its commands show in it. */
export interface Scene {
  /** Brings the state about, as far as it can be. */
  readonly cause: (set: Scenery) => Promise<void>;
  /** Each command of the entry as it stands there, in the order in which they are run. */
  readonly commands: Readonly<Record<string, Expected>>;
  /** Does what the entry says, and waits for what it names as the end. */
  readonly mend?: (set: Scenery) => Promise<void>;
}

export interface Expected {
  /** The exit code; 0 if it is not named. */
  readonly code?: number;
  /** What its output, with standard error, matches. */
  readonly shows: readonly RegExp[];
  /** What holds after it. */
  readonly after?: (set: Scenery) => Promise<void>;
}

/** A stage with a folder to work in, and a shell that knows `imsync` and the stage's Redis. */
export interface Scenery {
  readonly stage: Stage;
  readonly folder: string;
  /** The environment of the shell and of workers. A scene may change it. */
  env: Record<string, string>;
  /** What stands in a command for something that only the reader knows: `ID`, `HOST:9464`, `/etc/imsync`. */
  readonly means: Record<string, string>;
  /** Starts a worker. */
  worker(env?: Readonly<Record<string, string>>): Promise<ImsyncProcess>;
  /** The worker that was started last. */
  current(): ImsyncProcess;
  /** Where the ops server of the current worker listens. */
  ops(): Promise<string>;
  run(command: string): Promise<{ readonly code: number; readonly output: string }>;
  /** Waits until the current worker has logged a line that begins so. */
  logged(start: string, timeoutMs?: number): Promise<void>;
  hold(kind: string, action: object): Promise<void>;
  /** Ends a fault of the API, and waits until the hold is over and all events have ended. */
  recover(): Promise<void>;
  end(): Promise<void>;
}

const cli = fileURLToPath(new URL('../../../dist/cli.js', import.meta.url));

export async function setScene(): Promise<Scenery> {
  const stage = await setStage();
  const folder = mkdtempSync(join(tmpdir(), 'imsync-runbook-'));
  const programs = {
    imsync: `"${process.execPath}" "${cli}"`,
    'redis-cli': `redis-cli -p ${stage.redis.port}`,
  };
  for (const [name, command] of Object.entries(programs)) {
    // The PATH without this folder finds the real redis-cli.
    const script = `#!/bin/sh\nPATH="\${PATH#*${delimiter}}" exec ${command} "$@"\n`;
    writeFileSync(join(folder, name), script);
    chmodSync(join(folder, name), 0o755);
  }
  const workers: ImsyncProcess[] = [];
  const set: Scenery = {
    stage,
    folder,
    env: { ...stage.env },
    means: {},
    async worker(env = {}) {
      const worker = await stage.worker({ ...set.env, ...env });
      workers.push(worker);
      return worker;
    },
    current() {
      const worker = workers.at(-1);
      if (worker === undefined) throw new Error('the scene started no worker');
      return worker;
    },
    async ops() {
      const line = await set.current().line('ops server listens: /livez, /readyz, /status, /metrics');
      return new URL(String(line.url)).host;
    },
    run: (command) => runShell(command, set),
    logged: async (start, timeoutMs = 70_000) => {
      await eventually(`"${start}" is logged`, () => linesOf(set.current(), start).length > 0, timeoutMs);
    },
    async hold(kind, action) {
      stage.simulator.setFaults({ rules: [{ action }] } as never);
      await stage.push({ userId: 'held' });
      await holdOf(stage, kind);
    },
    async recover() {
      stage.simulator.setFaults({});
      await set.logged('the hold is over');
      await drained(stage);
    },
    async end() {
      await stage.end();
      rmSync(folder, { recursive: true });
    },
  };
  return set;
}

/** Waits until the fleet is held for this kind. */
export async function holdOf(stage: Stage, kind: string): Promise<void> {
  await eventually(
    `a hold of the kind ${kind}`,
    async () => JSON.parse((await stage.client.hget(stage.keys.hold, 'held')) ?? '{}').kind === kind,
    60_000,
  );
}

function runShell(command: string, { folder, env, means }: Scenery): ReturnType<Scenery['run']> {
  const shell = Object.entries(means).reduce((text, [from, to]) => text.replaceAll(from, to), command);
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('IMSYNC_'));
  const path = `${folder}${delimiter}${process.env.PATH}`;
  return new Promise((resolve, reject) => {
    const child = spawn('sh', ['-c', shell], {
      cwd: folder,
      env: { ...Object.fromEntries(own), ...env, PATH: path },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        output += chunk;
      });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? -1, output }));
  });
}
