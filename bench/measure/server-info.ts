/** The part of Redis's INFO that costs are read from. */
export interface ServerCost {
  /** CPU of the server in µs, all threads. */
  readonly cpuMicros: number;
  /** Commands it executed, those of scripts included. */
  readonly commands: number;
  /** Times it read from a connection: a pipeline is one. */
  readonly reads: number;
  readonly byCommand: ReadonlyMap<string, number>;
}

/** `info`: sections cpu, stats and commandstats. */
export function parseServerCost(info: string): ServerCost {
  const field = (name: string): number => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1] ?? 0);
  const byCommand = new Map<string, number>();
  for (const [, name, calls] of info.matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)) {
    byCommand.set(name ?? '', Number(calls));
  }
  return {
    cpuMicros: Math.round(1e6 * (field('used_cpu_sys') + field('used_cpu_user'))),
    commands: [...byCommand.values()].reduce((sum, calls) => sum + calls, 0),
    reads: field('total_reads_processed'),
    byCommand,
  };
}

export function costBetween(before: ServerCost, after: ServerCost): ServerCost {
  const byCommand = new Map<string, number>();
  for (const [name, calls] of after.byCommand) {
    const more = calls - (before.byCommand.get(name) ?? 0);
    if (more > 0) byCommand.set(name, more);
  }
  return {
    cpuMicros: after.cpuMicros - before.cpuMicros,
    commands: after.commands - before.commands,
    reads: after.reads - before.reads,
    byCommand,
  };
}
