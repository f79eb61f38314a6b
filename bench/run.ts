import { machineText } from './report/machine.ts';
import type { BenchResult } from './report/row.ts';
import { terminalTable } from './report/table.ts';
import { drain } from './rows/drain.ts';
import { growth } from './rows/growth.ts';
import { idle } from './rows/idle.ts';
import { intake } from './rows/intake.ts';
import { latency } from './rows/latency.ts';
import { memory } from './rows/memory.ts';
import { producing } from './rows/producing.ts';
import { quota } from './rows/quota.ts';
import { quotaDisturbed, quotaJitter } from './rows/quota-disturbed.ts';
import { quotaPeers } from './rows/quota-peers.ts';
import { relay } from './rows/relay.ts';
import { roundTrips } from './rows/round-trips.ts';
import { startUp } from './rows/start-up.ts';
import { traces } from './rows/traces.ts';
import type { Bench, BenchContext, Measured } from './stage/bench.ts';

/** In the order of the table of targets. */
export const benches: readonly Bench[] = [
  quota,
  quotaDisturbed,
  quotaJitter,
  quotaPeers,
  drain,
  roundTrips,
  memory,
  producing,
  latency,
  growth,
  startUp,
  idle,
  intake,
  relay,
  traces,
];

/** One after the other: two at a time would measure each other. A broken one does not end the rest. */
export async function runBenches(
  chosen: readonly Bench[],
  options: Omit<BenchContext, 'runs'> & { readonly runs: number | undefined },
): Promise<BenchResult[]> {
  const { say, quick } = options;
  const machine = await machineText();
  say(machine);
  const results: BenchResult[] = [];
  for (const [i, bench] of chosen.entries()) {
    say(`\n[${i + 1}/${chosen.length}] ${bench.name}: ${bench.about}`);
    const startedMs = performance.now();
    const at = `${new Date().toISOString().slice(0, 19)}Z`;
    const runs = options.runs ?? (quick ? 1 : bench.runs);
    const measured = await attempt(bench, { ...options, runs, say: (line) => say(`  ${line}`) });
    const seconds = Math.round((performance.now() - startedMs) / 1000);
    const { rows, charts = [], problems } = measured;
    results.push({
      name: bench.name,
      about: bench.about,
      at,
      machine,
      quick,
      seconds,
      rows,
      charts,
      problems,
    });
    if (rows.length > 0) say(`\n${terminalTable(rows)}`);
    for (const problem of problems) say(`FAILED: ${problem}`);
    say(`(${seconds} s)`);
  }
  return results;
}

/** Runs one. Published is why it broke; where, with the folders of the machine, is only said. */
export async function attempt(bench: Bench, context: BenchContext): Promise<Measured> {
  try {
    return await bench.run(context);
  } catch (error) {
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    if (stack !== undefined) context.say(stack);
    return { rows: [], problems: [`it broke: ${message}`] };
  }
}
