/** The package's interface for app backends. These names and types are stable. */
export type { AccountType, IdentifierType, Outcome } from './event/event.ts';
export type { UserInput } from './event/fields.ts';
export { InvalidUserError } from './event/invalid-user.ts';
export type { ImportOutcome } from './producer/outcome-inbox.ts';
export {
  type Accepted,
  type Importing,
  NotAcceptedError,
  type ProducerOptions,
  UserCreatedProducer,
  type WaitOptions,
} from './producer/producer.ts';
export type { RedisSettings } from './redis/options.ts';
