import { createInterface } from 'node:readline/promises';

/** Asks on the terminal; anything but yes is no, and so is the end of the input. */
export async function isConfirmed(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await Promise.race([
      terminal.question(`${question} Type yes: `),
      new Promise<string>((resolve) => terminal.once('close', () => resolve(''))),
    ]);
    return answer.trim().toLowerCase() === 'yes';
  } finally {
    terminal.close();
  }
}
