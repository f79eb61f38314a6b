// What an app backend imports. The names here are promises.
export type { UserInput } from './event/fields.ts';
export {
  type Accepted,
  InvalidUserError,
  NotAcceptedError,
  type ProducerOptions,
  UserCreatedProducer,
} from './intake/producer.ts';
