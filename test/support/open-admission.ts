import type { Admission } from '../../src/delivery/admission.ts';

/** A waiting room where nobody waits. */
export const openAdmission: Admission = {
  acquire: async () => () => undefined,
  openAll: () => undefined,
  close: () => undefined,
  isClosed: false,
};
