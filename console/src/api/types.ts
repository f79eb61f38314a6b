/** What the server answers, as docs/console-api.yaml describes it. Times in ms since 1970, the fleet's clock. */

export type Rights = 'view' | 'act';

export interface Session {
  readonly name: string;
  readonly rights: Rights;
  readonly showUsers: boolean;
  readonly expiresAt: number | null;
  readonly kind: 'session' | 'bearer' | 'sso';
  readonly sdkAppId: number;
  readonly version: string;
}

export type Values = Readonly<Record<string, string | number | null>>;

export interface Sentence {
  readonly code: string;
  readonly level: 'ok' | 'attention' | 'bad';
  readonly values: Values;
  readonly text: string;
  readonly advice: string;
}

export interface CommandCalls {
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
  readonly users: number;
  readonly quota: number;
  readonly rate: number;
  readonly startedLastSecond: number;
}

export interface Pause {
  readonly reason: string;
  readonly since: number;
  readonly by?: string;
}

export interface Worker {
  readonly id: string;
  readonly version: string;
  readonly lastSeen: number;
  readonly intake?: string;
}

export interface Status {
  readonly sentence: Sentence;
  readonly also: readonly Sentence[];
  readonly nowMs: number;
  readonly intake: { readonly waiting: number; readonly parked: number; readonly oldestAgeMs: number | null };
  readonly calls: Readonly<Record<string, CommandCalls>>;
  readonly deadLetters: { readonly total: number; readonly oldestAgeMs: number | null };
  readonly hold: { readonly kind: string; readonly nextProbeAt: number } | null;
  readonly pause: Pause | null;
  readonly totals: Readonly<Record<'accepted' | 'imported' | 'superseded' | 'deadLettered', number>>;
  readonly workers: readonly Worker[];
}

export const spans = ['15m', '3h', '24h'] as const;
export type Span = (typeof spans)[number];
export type Column = readonly (number | null)[];

export interface Band {
  readonly kind: 'hold' | 'pause' | 'throttle';
  readonly from: number;
  readonly to: number | null;
  readonly values: Values;
}

export interface History {
  readonly nowMs: number;
  readonly span: Span;
  readonly stepMs: number;
  readonly at: readonly number[];
  readonly perSecond: Readonly<Record<string, Column>>;
  readonly gauges: Readonly<Record<string, Column>>;
  readonly deadByReason: Readonly<Record<string, Column>>;
  readonly errorsPerSecond: Readonly<Record<string, Column>>;
  readonly bands: readonly Band[];
}

export interface Attempt {
  readonly at: number;
  readonly command: string;
  readonly errorCode: number;
  readonly httpStatus: number;
}

export interface Call {
  readonly callId: string;
  readonly command: string;
  readonly redrive: boolean;
  readonly users: number;
  readonly events: number;
  readonly tries: number;
  readonly oldestEventAt: number;
  readonly state: 'waiting' | 'on-the-wire' | 'later';
  readonly sentAt: number | null;
  readonly nextAt: number | null;
  readonly lastAttempt: Attempt | null;
  readonly suspects: readonly object[];
}

export interface CallPage {
  readonly total: number;
  readonly calls: readonly Call[];
}

export const reasons = ['invalid', 'rejected', 'profile', 'expired', 'unknown'] as const;
export const letterStates = ['dead', 'redriving', 'resolved', 'all'] as const;

export interface Letter {
  readonly eventId: string;
  readonly userId: string;
  readonly reason: string;
  readonly errorCode: number;
  readonly errorInfo: string;
  readonly httpStatus: number;
  readonly command: string;
  readonly event: Readonly<Record<string, string>>;
  readonly partial?: boolean;
  readonly withheld?: readonly string[];
  readonly hasAccount?: boolean;
  readonly attempts: readonly Attempt[];
  readonly firstSeenAt: number;
  readonly notBefore: number | null;
  readonly state: 'dead' | 'redriving' | 'resolved';
  readonly deadSince: number;
  readonly firstDeadAt: number;
  readonly redrives: readonly { readonly at: number; readonly by: string }[];
  readonly resolvedAt?: number;
  readonly resolvedBy?: string;
  readonly advice: string;
  readonly codePage: string | null;
}

export interface LetterPage {
  readonly letters: readonly Letter[];
  readonly next: string | null;
}

export interface LetterGroup {
  readonly reason: string;
  readonly errorCode: number;
  readonly count: number;
  readonly errorInfo: string;
  readonly newestDeadSince: number | null;
  readonly advice: string;
  readonly meaning: string;
  readonly codePage: string | null;
}

export interface Groups {
  readonly total: number;
  readonly redriving: number;
  readonly resolved: number;
  readonly groups: readonly LetterGroup[];
}

/** Which letters an act is about. */
export interface Filter {
  readonly reason?: string;
  readonly code?: number;
  readonly user?: string;
  readonly olderThanMs?: number;
  readonly newerThanMs?: number;
}

export type Selection =
  | { readonly filter: Filter }
  | { readonly eventIds: readonly string[] }
  | { readonly all: true }
  | { readonly resume: string };

export interface DryRun {
  readonly complete: boolean;
  readonly letters: number;
  readonly users: number;
  readonly calls: number;
  readonly left: Readonly<Record<string, number>>;
}

export interface Redrive {
  readonly id: string;
  readonly by: string;
  readonly filter: Readonly<Record<string, unknown>>;
  readonly rate: number | null;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly state: 'running' | 'done' | 'interrupted' | 'stopped';
  readonly why: string | null;
  readonly letters: number;
  readonly users: number;
  readonly imported: number;
  readonly failed: number;
  readonly resumable: boolean;
}

export interface Deleted {
  readonly deleted: number;
  readonly redriving: number;
  readonly changed: number;
  /** The cursor of the next part; null at the end. */
  readonly next: string | null;
}

export interface UserCall {
  readonly callId: string;
  readonly command: string;
  readonly redrive: boolean;
  readonly eventIds: readonly string[];
  readonly users: number;
  readonly tries: number;
  readonly suspicion: {
    readonly since: number;
    readonly failures: number;
    readonly errorInfo: string;
  } | null;
  readonly attempts: readonly Attempt[];
  readonly sentAt: number | null;
  readonly nextAt: number | null;
}

export interface User {
  readonly userId: string;
  readonly state: 'in-call' | 'waiting' | 'dead-lettered' | 'imported' | 'missing' | 'unknown';
  readonly hasAccount: boolean | null;
  readonly stopped: 'held' | 'paused' | null;
  readonly call: UserCall | null;
  readonly parked: { readonly count: number; readonly eventIds: readonly string[] };
  readonly waiting: readonly { readonly eventId: string; readonly place: 'returned' | 'stream' }[];
  readonly letters: readonly Letter[];
  readonly api: { readonly kind: string; readonly errorCode?: number; readonly errorInfo?: string } | null;
  readonly unchecked: readonly string[];
  readonly outcomes: readonly {
    readonly at: number;
    readonly eventId: string;
    readonly outcome: string;
    readonly errorCode: number;
  }[];
}

export interface Forgotten {
  readonly complete: boolean;
  readonly erased: Readonly<Record<string, number>>;
  readonly left: readonly string[];
  readonly elsewhere: readonly string[];
}

export interface Act {
  readonly at: number;
  readonly what: string;
  readonly by: string;
  readonly detail: string;
  readonly to: number | null;
  readonly values: Values;
}

export interface ActivityPage {
  readonly activity: readonly Act[];
  readonly next: number | null;
}

export interface Setting {
  readonly path: string;
  readonly variable: string;
  readonly value: string;
  readonly origin: string;
  readonly doc: string;
  readonly disagreeing: readonly { readonly worker: string; readonly value: string }[];
}

export interface Settings {
  readonly settings: readonly Setting[];
  readonly workers: readonly { readonly id: string; readonly known: boolean }[];
}
