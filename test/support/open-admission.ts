import type { DeliveryOptions } from '../../src/delivery/delivery-options.ts';

/** An admission where nobody waits. */
export const openAdmission: DeliveryOptions['admission'] = {
  acquire: async () => () => undefined,
  isClosed: false,
};
