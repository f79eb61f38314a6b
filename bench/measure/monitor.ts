/** One line of Redis's MONITOR, as far as it is needed. */
export interface Monitored {
  /** `host:port` of the client, or `lua` for a command within a script. */
  readonly source: string;
  readonly command: string;
  /** The first argument; '' if there is none. */
  readonly first: string;
}

/** Undefined for what is no such line, like the OK at the start. */
export function readMonitored(line: string): Monitored | undefined {
  const [, source, command, first = ''] =
    /^\+?[\d.]+ \[\d+ (\S+)\] "((?:[^"\\]|\\.)*)"(?: "((?:[^"\\]|\\.)*)")?/.exec(line) ?? [];
  return source === undefined || command === undefined ? undefined : { source, command, first };
}

/** What was executed under one name: a script, or a command that clients sent by itself. */
export interface Executed {
  readonly name: string;
  /** Times that clients sent it. */
  readonly sent: number;
  /** Commands in all: it itself, and those within the script. */
  readonly commands: number;
}

/**
 * Adds up commands by script, and others by their name, most first. A script's own commands follow it, since nothing
 * else runs meanwhile. `scriptName` says what a script of that SHA is called. Pure.
 */
export function executedBy(lines: readonly Monitored[], scriptName: (sha: string) => string): Executed[] {
  const counts = new Map<string, { sent: number; commands: number }>();
  let current = '';
  for (const { source, command, first } of lines) {
    if (source !== 'lua') current = /^evalsha$/i.test(command) ? scriptName(first) : command.toUpperCase();
    const count = counts.get(current) ?? { sent: 0, commands: 0 };
    if (source !== 'lua') count.sent += 1;
    count.commands += 1;
    counts.set(current, count);
  }
  return [...counts].map(([name, count]) => ({ name, ...count })).sort((a, b) => b.commands - a.commands);
}
