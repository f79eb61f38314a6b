import { createInterface } from 'node:readline/promises';

/** Asks on the terminal. Any answer except yes means no, and so does the end of the input. */
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
