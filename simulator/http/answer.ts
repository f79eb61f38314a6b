/** One entry of the ResultItem list of account_check and account_delete. */
export interface ResultItem {
  readonly UserID: string;
  readonly ResultCode: number;
  readonly ResultInfo: string;
  readonly AccountStatus?: 'Imported' | 'NotImported';
}

/** The API's answer to a call. */
export interface Answer {
  readonly code: number;
  readonly info: string;
  /** Present in the answer of a batch import that is OK. An empty list may also be null or undefined. */
  readonly failAccounts?: readonly string[] | null;
  readonly resultItems?: readonly ResultItem[];
}

export function refusal(code: number, command: string, info?: string): Answer {
  return { code, info: info ?? errorInfoOf(code, command) };
}

/** Returns the JSON text of an answer. Source: "response fields" of the API references. */
export function renderAnswer(answer: Answer, requestId: string): string {
  return JSON.stringify({
    ActionStatus: answer.code === 0 ? 'OK' : 'FAIL',
    ErrorCode: answer.code,
    ErrorInfo: answer.info,
    FailAccounts: answer.failAccounts,
    ResultItem: answer.resultItems,
    RequestId: requestId,
  });
}

/**
 * The ErrorInfo of each code that the simulator answers without a scenario.
 *
 * Source: error code tables of the API references and the public table of codes 60000 to 79999.
 * The wording is the simulator's own: clients must decide by the number.
 */
const TEXTS: Readonly<Record<number, string>> = {
  0: '',
  40005: 'a profile field holds a sensitive word',
  40006: 'internal error while setting the profile, try again later',
  40601: 'the value of a profile field is longer than 500 bytes',
  40610: 'a profile field has the wrong type',
  60002: 'the HTTP request could not be understood, check the URL and its parameters',
  60003: 'the request body is no JSON object',
  60004: 'the identifier or usersig of the request URL is wrong',
  60006: 'the SDKAppID is invalid',
  60007: 'the call frequency of this interface exceeds its limit',
  60008: 'the service timed out, or the HTTP request is malformed',
  60009: 'the requested resource is unknown, check the URL',
  60010: 'the request needs the App admin',
  60011: 'the call frequency of this SDKAppID exceeds its limit',
  60012: 'the request has no SDKAppID',
  60015: 'an account in the body is not a string',
  70001: 'the UserSig has expired',
  70002: 'the UserSig is empty',
  70003: 'the UserSig cannot be parsed',
  70005: 'the UserSig is illegal',
  70009: 'the UserSig was not made with the key of this SDKAppID',
  70013: 'the UserSig belongs to another user',
  70014: 'the UserSig belongs to another SDKAppID',
  70020: 'the SDKAppID was not found here',
  70107: 'the account does not exist',
  70169: 'internal timeout, try again later',
  70202: 'internal timeout, try again later',
  70206: 'the number of accounts in the request is illegal',
  70398: 'the number of accounts reached the limit of the plan',
  70399: 'the account was deleted less than three months ago',
  70402: 'invalid parameters, check the required fields and their format',
  70403: "the request needs the App admin's permission",
  70500: 'internal error, try again later',
};

/** register_account_v1 has its own table, in which 70402 means something else. */
const REGISTER_TEXTS: Readonly<Record<number, string>> = {
  70402: 'the account exists already',
  70405: 'the import failed, try again later',
  70411: 'the SDKAppID is illegal',
  70418: 'the request body is illegal, check the required fields and their format',
  70419: 'the Identifier must have 4 to 24 characters',
  70421: 'the Identifier does not fit its IdentifierType',
  70425: 'the request needs the App admin',
};

/** Returns the ErrorInfo of `code`. Only register_account_v1 has texts of its own. */
export function errorInfoOf(code: number, command: string): string {
  const own = command === 'register_account_v1' ? REGISTER_TEXTS[code] : undefined;
  return own ?? TEXTS[code] ?? `error ${code}`;
}
