/** How a command's documented quota becomes the distance between two calls. Pure. */

/** Slots that may be reserved ahead over the whole fleet. */
export const SLOTS_AHEAD = 5;

/**
 * A call that would leave later than this after its slot is given up, never sent late: late calls and punctual ones
 * close together are what fills 10 ms, at 100 calls a second with more than three (docs/decisions/0021).
 */
export const MAX_LATE_MS = 10;

/**
 * A call that left later than this is told to the book, and its second counts from when it left. The margin of 1 %
 * leaves 10 ms of slack a second, whatever the quota: 3 ms of it for this, 7 ms for the way to the API.
 */
export const TOLD_LATE_MS = 3;

/** What a worker does not know how to classify cannot wait: best first, strict but for one slot in ten. */
export const SLOT_CLASSES = ['live', 'retry', 'split', 'redrive'] as const;
export type SlotClass = (typeof SLOT_CLASSES)[number];

export interface Quota {
  /** Calls a second that the API allows. */
  readonly perSecond: number;
  /** Part of it that this fleet may use, 0..1. */
  readonly share: number;
  /** Part kept back against jitter, 0..1. */
  readonly margin: number;
}

/** Calls a second that are started at most. */
export function ratePerSecond(quota: Quota): number {
  return quota.perSecond * quota.share * (1 - quota.margin);
}

/** Distance of two slots in microseconds. */
export function spacingMicros(quota: Quota): number {
  return 1_000_000 / ratePerSecond(quota);
}

/** Of the distance of two slots: a timer comes late, and every slot is to be used. */
const PATIENCE_SHARE = 0.75;
/** A near Redis answers within this, so that its answers are waited for whatever the quota. */
const NEAR_MS = 4;

/**
 * For how long an answer of Redis is waited for before the next one is asked for, ms, where slots lie so far apart: with a far
 * Redis a process would make one call a round trip otherwise (docs/decisions/0095).
 */
export function patienceMs(spacingMs: number): number {
  return Math.max(NEAR_MS, PATIENCE_SHARE * spacingMs);
}
