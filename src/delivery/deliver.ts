import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { RunEnd } from '../calls/bullmq/call-worker.ts';
import type { LocalCall } from '../intake/cut.ts';
import { claimRecord } from '../ledger/claim.ts';
import { waitUntil } from '../lifecycle/wait.ts';
import type { Release } from './admission.ts';
import { CallRun } from './call-run.ts';
import type { DeliveryOptions } from './delivery-options.ts';
import { LANDING_MS } from './policy/backoff.ts';

/**
 * A record of another version is tried again after this (claim.lua uses the same time). While both versions
 * run, either may fetch it, so it must not wait for long.
 */
const FOREIGN_WAIT_MS = 5_000;
/** A slot may lie this far ahead of its granting. */
const CLOCK_SLACK_MS = 2_000;

/**
 * Works a call record off: one run of its job. Never throws for what the API answers. `kind`: what the job
 * tells of the class of its call (calls/bullmq/call-worker.ts).
 */
export async function deliver(options: DeliveryOptions, callId: string, kind: string): Promise<RunEnd> {
  const release = await options.admission.acquire(kind);
  if (release === 'closing') return { kind: 'leave' };
  try {
    return await takeRecord(options, callId, release);
  } finally {
    release();
  }
}

/** The same for a call that this process cut: the record is new, and `run` owns it already. */
export async function deliverLocal(
  options: DeliveryOptions,
  { record, run }: LocalCall,
  release: Release,
): Promise<RunEnd> {
  try {
    return await new CallRun(options, { record, run, passedAtMs: 0 }, release).work();
  } finally {
    release();
  }
}

async function takeRecord(options: DeliveryOptions, callId: string, release: Release): Promise<RunEnd> {
  const run = randomUUID();
  const claim = await claimRecord(options, callId, run, options.retry.maxMs + LANDING_MS);
  switch (claim.kind) {
    case 'gone':
      return { kind: 'finished' };
    case 'foreign':
      options.report.left?.(callId, claim.format);
      return { kind: 'later', delayMs: FOREIGN_WAIT_MS };
    case 'early':
      return { kind: 'later', delayMs: claim.waitMs };
    case 'yours':
      break;
  }
  const { record, passedAtMs } = claim;
  // The run before this one died with a call on the wire, which may still land.
  const landsInMs = record.sentAtMs + LANDING_MS - record.readAtMs;
  if (record.sentAtMs > 0 && landsInMs > 0) {
    if (landsInMs <= LANDING_MS + CLOCK_SLACK_MS) return { kind: 'later', delayMs: landsInMs };
    // Sent in the future: Redis's clock was set back, and nobody knows when it was sent.
    await waitUntil(performance.now() + LANDING_MS);
  }
  return new CallRun(options, { record, run, passedAtMs }, release).work();
}
