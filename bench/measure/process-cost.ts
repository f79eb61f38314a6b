import { readFileSync } from 'node:fs';

/** Clock ticks a second in /proc: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** User and system time of a process and its threads so far, in µs. 0 where there is no /proc. */
export function processCpuMicros(pid: number): number {
  const text = readProc(pid, 'stat');
  return text === '' ? 0 : parseStatMicros(text);
}

/**
 * User and system time of a process, of its children and of the children that have ended, in µs: of a whole
 * PostgreSQL, if the process is its first one.
 */
export function familyCpuMicros(pid: number): number {
  const children = readProc(pid, `task/${pid}/children`).split(' ').filter(Boolean);
  const own = readProc(pid, 'stat');
  if (own === '') return 0;
  return [...children].reduce(
    (sum, child) => sum + processCpuMicros(Number(child)),
    parseStatMicros(own) + parseEndedMicros(own),
  );
}

/** Resident memory in MB. */
export function processMemoryMb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readProc(pid, 'status'))?.[1] ?? 0) / 1024;
}

/** Of a /proc/PID/stat; the name in it may hold anything, spaces and brackets too. */
export function parseStatMicros(text: string): number {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1e6) / TICKS_PER_SECOND;
}

/** Of a /proc/PID/stat: the time of the children that have ended and were waited for. */
export function parseEndedMicros(text: string): number {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[13]) + Number(fields[14])) * 1e6) / TICKS_PER_SECOND;
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
