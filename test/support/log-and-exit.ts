import { pbkdf2 } from 'node:crypto';
import { readSync } from 'node:fs';
import { createStandardLog } from '../../src/logging/log.ts';

/** Logs so many lines, waits without a turn of its event loop until its input ends, and exits. */
const lines = Number(process.argv[2]);

// Node's threads are busy: what is left to them comes late, or never.
for (let i = 0; i < 8; i++) pbkdf2('password', 'salt', 200_000, 64, 'sha512', () => undefined);
const { log } = createStandardLog('info', {});
for (let line = 1; line <= lines; line++) log.info({ line }, 'a line');
process.stderr.write('logged');
readSync(0, Buffer.alloc(1));
process.exit(0);
