import { computed, signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { type ApiError, ask } from '../api/client.ts';
import type { Status } from '../api/types.ts';
import { setFleetTime } from './clock.ts';
import { usePoll } from './poll.ts';

const EVERY_MS = 2_000;
/** Rates are averages over about so long. */
const AVERAGE_MS = 12_000;

/** The state of the fleet, which every page shows something of. */
export const status = signal<Status | undefined>(undefined);
/** Why there is no newer one; undefined while there is. */
export const trouble = signal<ApiError | undefined>(undefined);

interface Point {
  readonly atMs: number;
  readonly accepted: number;
  readonly imported: number;
}

const points = signal<readonly Point[]>([]);

/** Accounts and events a minute of late; undefined before the second answer. */
export const perMinute = computed(() => {
  const last = points.value.at(-1);
  const first = points.value[0];
  if (last === undefined || first === undefined || last === first) return undefined;
  const minutes = (last.atMs - first.atMs) / 60_000;
  // A redrive takes dead letters back, and a Redis may be emptied: nothing goes down.
  const rate = (name: 'accepted' | 'imported'): number => Math.max(0, last[name] - first[name]) / minutes;
  return { accepted: rate('accepted'), imported: rate('imported') };
});

/** Asks for the state while the page is seen. Called once, by the shell. */
export function useFleet(): { readonly refresh: () => void } {
  const { data, error, refresh } = usePoll('status', (signal) => ask<Status>('status', {}, signal), EVERY_MS);
  useEffect(() => {
    trouble.value = error;
    if (data === undefined || data === status.peek()) return;
    setFleetTime(data.nowMs);
    status.value = data;
    const { accepted, imported } = data.totals;
    const recent = points.peek().filter(({ atMs }) => data.nowMs - atMs <= AVERAGE_MS && atMs < data.nowMs);
    points.value = [...recent, { atMs: data.nowMs, accepted, imported }];
  }, [data, error]);
  return { refresh };
}

/** Ask for the state again: an act has changed it. The shell listens. */
export const changes = signal(0);

export function fleetChanged(): void {
  changes.value++;
}
