// What an app backend imports. The names here are promises.
export type { UserInput } from './event/fields.ts';
export { type Accepted, InvalidUserError, NotAcceptedError } from './producer/accepted.ts';
export type { Importing } from './producer/import-users.ts';
export type { ImportOutcome } from './producer/outcome-inbox.ts';
export { type ProducerOptions, UserCreatedProducer, type WaitOptions } from './producer/producer.ts';
