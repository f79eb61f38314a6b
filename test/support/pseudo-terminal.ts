import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { eventually } from './eventually.ts';

const harness = fileURLToPath(new URL('pseudo-terminal.py', import.meta.url));
const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));

/** A real `imsync` process in a pseudo-terminal. */
export interface TerminalProcess {
  /** All that it wrote. */
  readonly written: () => string;
  /** The lines of the frame drawn last, without control characters. */
  readonly frame: () => string[];
  /** Waits for a frame with this text. */
  shows(text: string | RegExp, timeoutMs?: number): Promise<string[]>;
  keys(text: string): void;
  resize(rows: number, columns: number): void;
  signal(number: number): void;
  /** `isCooked`: the terminal echoes and edits lines again. */
  readonly ended: Promise<{ readonly code: number; readonly isCooked: boolean }>;
}

export function imsyncInTerminal(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  { rows = 24, columns = 80 } = {},
): TerminalProcess {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(IMSYNC_.*|NO_COLOR|TERM)$/.test(name));
  const child = spawn('python3', [harness, String(rows), String(columns), process.execPath, cli, ...args], {
    env: { ...Object.fromEntries(inherited), TERM: 'xterm-256color', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let written = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (written += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (errors += chunk));
  child.stdin.on('error', () => undefined);
  const tell = (command: object): void => void child.stdin.write(`${JSON.stringify(command)}\n`);
  const frame = (): string[] => {
    // A frame begins at the top left and ends by erasing what is below it.
    const drawn = written.split('\x1b[H').filter((text) => text.includes('\x1b[J'));
    const [last = ''] = (drawn.at(-1) ?? '').split('\x1b[J');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    return last.split(/\r+\n/).map((line) => line.replace(/\x1b\[[\d;?]*[A-Za-z]/g, ''));
  };
  return {
    written: () => written,
    frame,
    async shows(text, timeoutMs) {
      const has = (): boolean => {
        const all = frame().join('\n');
        return typeof text === 'string' ? all.includes(text) : text.test(all);
      };
      await eventually(`a frame with ${text}`, has, timeoutMs).catch((error: Error) => {
        throw new Error(`${error.message}; the last frame is\n${frame().join('\n')}\n${errors}`);
      });
      return frame();
    },
    keys: (text) => tell({ keys: text }),
    resize: (newRows, newColumns) => tell({ size: [newRows, newColumns] }),
    signal: (number) => tell({ signal: number }),
    ended: new Promise((resolve) => {
      child.once('close', () => resolve(JSON.parse(errors.trim().split('\n').at(-1) ?? '{}')));
    }),
  };
}
