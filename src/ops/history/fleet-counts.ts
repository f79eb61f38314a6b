import type { DeliveryReport } from '../../delivery/delivery-options.ts';
import { eventIdMs } from '../../event/event.ts';
import { errorLabel } from '../process-metrics.ts';
import { bucketOf } from './latency.ts';

/**
 * What this process counts for the fleet's history: `calls`, `error:<code>` for answers but success, and
 * `ms:<bucket>` for the latency of events that ended. The next sign of life takes it to Redis.
 */
export class FleetCounts {
  #counts: Record<string, number> = {};

  readonly report: DeliveryReport = {
    called: ({ request, verdict, answer }) => {
      this.#add('calls', 1);
      const label = errorLabel(request.command, verdict, answer);
      if (label !== '0') this.#add(`error:${label}`, 1);
    },
    settled: (_callId, { imported, dead }, settled) => {
      if (settled.kind === 'lost') return;
      for (const { eventId } of imported) this.#ended(settled.nowMs - eventIdMs(eventId));
      for (const { eventId } of dead) this.#ended(settled.nowMs - eventIdMs(eventId));
    },
    gaveUp() {},
    throttled() {},
  };

  /** The counts since the last time. */
  take(): Record<string, number> {
    const taken = this.#counts;
    this.#counts = {};
    return taken;
  }

  /** What was taken did not reach Redis. */
  giveBack(counts: Readonly<Record<string, number>>): void {
    for (const [name, count] of Object.entries(counts)) this.#add(name, count);
  }

  #ended(latencyMs: number): void {
    this.#add(`ms:${bucketOf(latencyMs)}`, 1);
  }

  #add(name: string, count: number): void {
    this.#counts[name] = (this.#counts[name] ?? 0) + count;
  }
}
