import { setTimeout as sleep } from 'node:timers/promises';
import { got } from 'got';
import { Redis } from 'ioredis';
import { readTask, whenToldToBegin } from '../stage/peer.ts';

/**
 * The floor of latency at a high rate: one process that reads a stream into its memory, sends 100 users when a slot of
 * its own clock comes, or fewer when they have waited for long, and tells nobody. It shares its quota with no other process, keeps
 * no order and no books, and loses what it holds when it ends: what is left is the wait for company and for a slot, and what the
 * machine itself holds up.
 */
const { redisPort, callUrl } = readTask();
const USERS = 100;
const MAX_WAIT_MS = 200;
/** 100 calls a second with the margin of 1 %. */
const SPACING_MS = 1000 / 99;
/** Of slots that it missed it makes up for so many at most, by a quarter of a spacing each: as pace/slot.lua. */
const MADE_UP = 5;

const post = got.extend({ method: 'POST', retry: { limit: 0 }, decompress: false });
const redis = new Redis({ port: redisPort, host: '127.0.0.1', maxRetriesPerRequest: null });
const waiting: { readonly user: unknown; readonly readAtMs: number }[] = [];
let wake = (): void => undefined;

async function read(): Promise<never> {
  for (let from = '0-0'; ; ) {
    const reply = await redis.xread('COUNT', 1_000, 'BLOCK', 0, 'STREAMS', 'events', from);
    for (const [id, [, text]] of reply?.[0]?.[1] ?? []) {
      waiting.push({ user: JSON.parse(text ?? ''), readAtMs: performance.now() });
      from = id;
    }
    wake();
  }
}

async function send(users: readonly unknown[]): Promise<void> {
  const body = JSON.stringify({ AccountList: users });
  await post(callUrl, { body, headers: { 'content-type': 'application/json' } });
}

async function write(): Promise<never> {
  let behindMs = 0;
  for (let slotAtMs = performance.now(); ; ) {
    const first = waiting[0];
    const nowMs = performance.now();
    const dueInMs = first === undefined || waiting.length >= USERS ? 0 : first.readAtMs + MAX_WAIT_MS - nowMs;
    const inMs = Math.max(slotAtMs - nowMs, dueInMs);
    if (first === undefined || inMs > 0) {
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      await (first === undefined ? woken : Promise.race([woken, sleep(inMs)]));
      continue;
    }
    behindMs = Math.min(MADE_UP * SPACING_MS, behindMs + Math.max(0, nowMs - slotAtMs));
    const nearerMs = Math.min(behindMs, 0.25 * SPACING_MS);
    behindMs -= nearerMs;
    slotAtMs = Math.max(slotAtMs, nowMs) + SPACING_MS - nearerMs;
    void send(waiting.splice(0, USERS).map(({ user }) => user));
  }
}

await redis.ping();
await whenToldToBegin();
await Promise.all([read(), write()]);
