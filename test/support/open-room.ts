import type { WaitingRoom } from '../../src/delivery/admission.ts';

/** A waiting room where nobody waits. */
export const openRoom: WaitingRoom = {
  enter: async () => () => undefined,
  stirred: () => undefined,
  close: () => undefined,
};
