/** A terminal that one program draws on, and gives back as it was. */
export interface Screen {
  readonly size: { readonly width: number; readonly height: number };
  draw(lines: readonly string[]): void;
  /** Gives the terminal back. May be called twice. */
  close(): void;
}

const ESC = '\x1b[';
/** The other screen, without a cursor and without wrapping: what is too wide is cut. */
const ENTER = `${ESC}?1049h${ESC}?25l${ESC}?7l${ESC}2J`;
const LEAVE = `${ESC}0m${ESC}?7h${ESC}?25h${ESC}?1049l`;
const CTRL_C = '\x03';
const CTRL_Z = '\x1a';
/** A signal takes effect within this time. */
const STOPPED_WITHIN_MS = 50;

/**
 * Takes standard output, which must be a terminal, and the keys of standard input if that is one. The
 * terminal is given back however the process ends, except by SIGKILL.
 */
export function openScreen(options: {
  readonly onQuit: () => void;
  /** The size has changed, or the screen was away: draw again. */
  readonly onRedraw: () => void;
}): Screen {
  const { stdin, stdout } = process;
  const { onQuit, onRedraw } = options;
  let isOpen = false;
  let isClosed = false;
  const enter = (): void => {
    isOpen = true;
    if (stdin.isTTY) stdin.setRawMode(true);
    stdout.write(ENTER);
  };
  const leave = (): void => {
    if (!isOpen) return;
    isOpen = false;
    if (stdin.isTTY) stdin.setRawMode(false);
    stdout.write(LEAVE);
  };
  /** The shell gets its terminal until `fg`. Where no shell can stop this process, it is back at once. */
  const suspend = (): void => {
    leave();
    process.kill(0, 'SIGTSTP');
    setTimeout(() => {
      if (isClosed) return;
      enter();
      onRedraw();
    }, STOPPED_WITHIN_MS);
  };
  const onKey = (keys: Buffer): void => {
    const text = keys.toString('latin1');
    if (text.includes(CTRL_Z)) suspend();
    else if (/q/i.test(text) || text.includes(CTRL_C)) onQuit();
  };
  // Also after an error that nobody catches: Node prints it after this, on the screen that stays.
  process.once('exit', leave);
  // The terminal may be gone before SIGHUP says so.
  if (stdin.isTTY) stdin.on('data', onKey).on('error', onQuit).resume();
  stdout.on('resize', onRedraw);
  enter();
  return {
    get size() {
      return { width: stdout.columns || 80, height: stdout.rows || 24 };
    },
    draw(lines) {
      if (!isOpen) return;
      const text = lines.map((line) => `${line}${ESC}K`).join('\r\n');
      stdout.write(`${ESC}H${text}${ESC}J`);
    },
    close() {
      isClosed = true;
      leave();
      process.off('exit', leave);
      stdout.off('resize', onRedraw);
      stdin.off('data', onKey).pause();
    },
  };
}
