/** One account of a call, as sent. Absent fields are undefined; they leave the stored value alone. */
export interface AccountItem {
  readonly userId: string;
  readonly nick: string | undefined;
  readonly faceUrl: string | undefined;
  readonly type: 0 | 1 | undefined;
}

/** An account named without a profile. */
export function bareItem(userId: string): AccountItem {
  return { userId, nick: undefined, faceUrl: undefined, type: undefined };
}
