/** The package's interface for app backends. These names and types are stable. */
export type { UserInput } from './event/fields.ts';
export { type ProducerOptions, UserCreatedProducer, type WaitOptions } from './producer/producer.ts';
export {
  type Accepted,
  type Importing,
  type ImportOutcome,
  InvalidUserError,
  NotAcceptedError,
} from './producer/results.ts';
