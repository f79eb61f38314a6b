/** What happened since the start or the last reset. */
export interface SimulatorReport {
  /** ISO 8601. */
  readonly startedAt: string;
  readonly uptimeMs: number;
  readonly accounts: number;
  /** Accounts with a nick or a picture. */
  readonly profiles: number;
  readonly deletedAccounts: number;
  /** `max` counts accounts deleted since, too. */
  readonly importsPerAccount: { readonly max: number; readonly moreThanOnce: number };
  /** Every command that was called. */
  readonly commands: Readonly<Record<string, CommandReport>>;
  /** All calls of known commands together. */
  readonly allCommands: ArrivalReport;
  /** Requests whose URL names no call. */
  readonly unknownRequests: number;
  /** Connections that the scenario reset. */
  readonly resets: number;
  /** Calls that the scenario let hang. */
  readonly hangs: number;
  /** Calls whose client had left when the answer was ready, or before the body was complete. */
  readonly clientsGone: number;
  readonly connectionsOpened: number;
  /** The longest that the simulator was late with everything; stamps of arrivals are as late. */
  readonly longestStallMs: number;
}

/** Arrivals of requests, refused ones included, at the moment their headers were read. */
export interface ArrivalReport {
  readonly calls: number;
  /** The most arrivals within any 1000 ms (half open: two calls 1000 ms apart do not share a second). */
  readonly maxInRollingSecond: number;
  /** The same, counting only what fell within one second even if the simulator stamped it late. */
  readonly maxSurelyInRollingSecond: number;
  readonly maxIn10Ms: number;
  /** The same, counting only what fell within 10 ms even if the simulator stamped it late. */
  readonly maxSurelyIn10Ms: number;
  readonly startedLastSecond: number;
}

export interface CommandReport extends ArrivalReport {
  /** Calls that passed the checks of the query and the quota. */
  readonly accepted: number;
  /** Calls over the quota (60007, 60011); injected codes do not count here. */
  readonly refused: number;
  /** Accounts in accepted calls. */
  readonly items: number;
  /** Accounts by accepted call. */
  readonly meanItems: number;
  /** Times that an account was named again within one call. */
  readonly duplicatesInACall: number;
  /** Answers by ErrorCode; other ends by their name: `http-502`, `garbage`, `truncated`, `reset`, `hung`. */
  readonly byErrorCode: Readonly<Record<string, number>>;
}
