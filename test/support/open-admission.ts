import type { Admission } from '../../src/delivery/admission.ts';

/** A waiting room where nobody waits. */
export const openAdmission: Admission = {
  enter: async () => () => undefined,
  stirred: () => undefined,
  close: () => undefined,
  isClosed: false,
};
