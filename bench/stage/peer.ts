import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { eventually } from '../../test/support/eventually.ts';

const loader = fileURLToPath(new URL('../../test/support/ts-loader.js', import.meta.url));

/** What a peer's process is told. All of it is in its environment, as JSON. */
export interface PeerTask {
  readonly redisPort: number;
  /** Where to post, signature and all. */
  readonly callUrl: string;
  /** Calls or jobs at a time. */
  readonly concurrency: number;
  /** Calls that this process has to make by itself, of 100 users each; none if a queue holds them. */
  readonly calls: readonly string[];
}

/** A peer as a process of its own. It says `ready`, begins when it is told to, and says `done`. */
export interface Peer {
  readonly pid: number;
  begin(): void;
  done(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts `bench/peers/<name>.ts` and waits until it is ready. */
export async function startPeer(name: string, task: PeerTask): Promise<Peer> {
  const file = fileURLToPath(new URL(`../peers/${name}.ts`, import.meta.url));
  const child = spawn(process.execPath, ['--import', loader, file], {
    env: { ...process.env, BENCH_TASK: JSON.stringify(task) },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    said += piece;
  });
  const heard = (word: string): Promise<true> =>
    eventually(
      `${name} says ${word}`,
      () => {
        if (said.includes(word)) return true;
        if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`);
        return false;
      },
      120_000,
    );
  await heard('ready');
  return {
    pid: child.pid ?? 0,
    begin: () => child.stdin.write('begin\n'),
    done: async () => {
      await heard('done');
    },
    stop: () => ended(child),
  };
}

/** The peer's side of it. */
export function readTask(): PeerTask {
  return JSON.parse(process.env.BENCH_TASK ?? '{}') as PeerTask;
}

/** Says that it is ready and resolves when told to begin. */
export function whenToldToBegin(): Promise<void> {
  process.stdout.write('ready\n');
  return new Promise((resolve) => {
    process.stdin.once('data', () => resolve());
  });
}

export function sayDone(): void {
  process.stdout.write('done\n');
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}
