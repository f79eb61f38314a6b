/** How an event ended, as it is told to who follows it. */
export interface Outcome {
  readonly eventId: string;
  /** As it came; '' if the event had none. */
  readonly userId: string;
  readonly outcome: 'imported' | 'superseded' | 'dead-lettered';
  /** The API's, 0 if it gave none. */
  readonly errorCode: number;
}
