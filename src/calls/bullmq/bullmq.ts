import { createRequire } from 'node:module';

/**
 * BullMQ is CommonJS. Imported by name, Node reads each of its 200 files a second time for the names that it exports:
 * twice the time to load it (docs/decisions/0092). Required, it is the same module.
 */
export const { DelayedError, ErrorCode, Queue, WaitingError, Worker } = createRequire(import.meta.url)(
  'bullmq',
) as typeof import('bullmq');
