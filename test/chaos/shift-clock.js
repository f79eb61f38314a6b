/**
 * Loaded into a process before its own code: its wall clock is CHAOS_CLOCK_MS off. `performance.now()` is not, as
 * on a machine whose clock is wrong.
 */
const byMs = Number(process.env.CHAOS_CLOCK_MS ?? 0);
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
