// What an app backend imports. The names here are promises.
export type { UserInput } from './event/fields.ts';
export { type Accepted, InvalidUserError, NotAcceptedError } from './intake/accepted.ts';
export type { Importing } from './intake/import-users.ts';
export type { ImportOutcome } from './intake/outcomes.ts';
export { type ProducerOptions, UserCreatedProducer, type WaitOptions } from './intake/producer.ts';
