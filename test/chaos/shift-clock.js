/**
 * Loaded into a process before its own code: its wall clock is CHAOS_CLOCK_MS off, or as many ms as the file
 * CHAOS_CLOCK_FILE says at the time. `performance.now()` is not, as on a machine whose clock is wrong or is set.
 */
import { readFileSync } from 'node:fs';

const file = process.env.CHAOS_CLOCK_FILE ?? '';
let byMs = Number(process.env.CHAOS_CLOCK_MS ?? 0);
if (file !== '')
  setInterval(() => {
    byMs = Number(readFileSync(file, 'utf8'));
  }, 20).unref();
const RealDate = Date;
class ShiftedDate extends RealDate {
  /** @param {any[]} args */
  constructor(...args) {
    if (args.length === 0) super(RealDate.now() + byMs);
    else super(.../** @type {[any]} */ (args));
  }
  static now() {
    return RealDate.now() + byMs;
  }
}
globalThis.Date = /** @type {DateConstructor} */ (ShiftedDate);
