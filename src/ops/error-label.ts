import type { FaultName } from '../im/answers.ts';
import type { CommandName } from '../im/commands.ts';
import { isListedCode, type Verdict } from '../im/verdicts.ts';

/**
 * The `error_code` of a call as a metric's label, of which there is a bounded number whatever comes back:
 * a code that the command's table lists; `other` for any other code; `http-429`, `http-4xx`, `http-5xx` or
 * `http-other` when somebody answered in the API's place; the fault's name (`timeout`, `reset`, `connect`, `dns`,
 * `tls`, `garbage`, `aborted`) when no usable answer came.
 */
export function errorLabel(command: CommandName, verdict: Verdict, fault: FaultName | undefined): string {
  if (fault !== undefined) return fault;
  const { httpStatus, errorCode } = verdict;
  if (httpStatus !== 200) return httpLabel(httpStatus);
  return isListedCode(command, errorCode) ? String(errorCode) : 'other';
}

function httpLabel(status: number): string {
  if (status === 429) return 'http-429';
  if (status >= 400 && status < 500) return 'http-4xx';
  return status >= 500 && status < 600 ? 'http-5xx' : 'http-other';
}
