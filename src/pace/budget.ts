import type { Config } from '../config/config.ts';
import type { ImportCommand } from '../im/bodies.ts';
import { type CommandName, documentedPerSecond } from '../im/commands.ts';

/** The quotas of the commands, and how a quota becomes the distance between two calls. Pure. */

/** Slots that may be reserved ahead over the whole fleet. */
export const SLOTS_AHEAD = 5;

/**
 * A call that would leave later than this after its slot is given up. Late calls close to punctual ones would
 * put more than three into 10 ms, at 100 calls a second (docs/decisions/0021).
 */
export const MAX_LATE_MS = 10;

/**
 * A call that left later than this is reported, and its second counts from when it left. The margin of 1 %
 * leaves 10 ms of slack a second, whatever the quota: 3 ms of it for this, 7 ms for the way to the API.
 */
export const TOLD_LATE_MS = 3;

/** Priority classes, highest first; suspects are in the last. Each class that waits gets one slot in ten. */
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

/** The import calls of an API form: one that carries many accounts, and one that carries a single one. */
export interface CommandPair {
  readonly batch: ImportCommand;
  readonly single: ImportCommand;
}

export function commandPair(form: Config['api']['form']): CommandPair {
  return form === 'hosted'
    ? { batch: 'register_account_v1', single: 'register_account_v1' }
    : { batch: 'multiaccount_import', single: 'account_import' };
}

/** The quota of a command: as configured, else as documented for the API form. */
export function quotaOf({ quota, api }: Config, command: CommandName): Quota {
  return {
    perSecond: quota.perSecond[command] ?? documentedPerSecond(api.form, command),
    share: quota.share,
    margin: quota.margin,
  };
}

/** Quotas of all import calls that this configuration makes. */
export function quotasOf(config: Config): Readonly<Partial<Record<ImportCommand, Quota>>> {
  const { batch, single } = commandPair(config.api.form);
  return { [batch]: quotaOf(config, batch), [single]: quotaOf(config, single) };
}

/** Calls a second that are started at most. */
export function ratePerSecond(quota: Quota): number {
  return quota.perSecond * quota.share * (1 - quota.margin);
}

/** Distance of two slots in microseconds. */
export function spacingMicros(quota: Quota): number {
  return 1_000_000 / ratePerSecond(quota);
}

/** Less than the whole distance of two slots, because a timer comes late and every slot is to be used. */
const PATIENCE_SHARE = 0.75;
/** A near Redis answers within this, so that its answers are waited for whatever the quota. */
const NEAR_MS = 4;

/**
 * For how long an answer of Redis is waited for before the next question is asked, where slots lie so far
 * apart. With a far Redis a process would make one call a round trip otherwise (docs/decisions/0095).
 */
export function patienceMs(spacingMs: number): number {
  return Math.max(NEAR_MS, PATIENCE_SHARE * spacingMs);
}
