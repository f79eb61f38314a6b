import { spawnSync } from 'node:child_process';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startRedis, type TestRedis } from './redis-server.ts';

/** A redis-server whose wall clock can be stepped (shifted-clock.c). */
export interface ShiftedRedis extends TestRedis {
  readonly env: Readonly<Record<string, string>>;
  /** From now on its clock is off by so many seconds. */
  shift(seconds: number): Promise<void>;
}

const source = fileURLToPath(new URL('shifted-clock.c', import.meta.url));

/** Why no clock can be shifted here; undefined where it can. */
export function cannotShift(): string | undefined {
  if (process.platform !== 'linux')
    return 'the clock of redis-server is shifted by LD_PRELOAD, on Linux only';
  const { error, status, stderr } = compile('/dev/null');
  if (error === undefined && status === 0) return undefined;
  const [why] = String(error?.message ?? stderr).split('\n', 1);
  return `the clock of redis-server is shifted by a library that could not be compiled (${why || `cc ended with ${status}`}): install a C compiler and the C library's headers (Debian: gcc and libc6-dev)`;
}

function compile(target: string): ReturnType<typeof spawnSync> {
  return spawnSync('cc', ['-shared', '-fPIC', '-O2', '-o', target, source, '-ldl']);
}

export async function startShiftedRedis(): Promise<ShiftedRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'imsync-clock-'));
  const library = join(folder, 'shifted-clock.so');
  const file = join(folder, 'shift');
  const compiled = compile(library);
  if (compiled.status !== 0) throw new Error(`cc failed: ${compiled.stderr}`);
  await writeFile(file, '0');
  const server = await startRedis([], { LD_PRELOAD: library, SHIFT_FILE: file });
  return {
    ...server,
    env: { IMSYNC_REDIS_URL: server.url },
    async shift(seconds) {
      // At once, so that no look finds an empty file.
      await writeFile(`${file}.new`, String(seconds));
      await rename(`${file}.new`, file);
    },
    async stop() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
