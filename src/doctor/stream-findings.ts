import { findStrayStreams, type StrayStream, shownName, streamFault } from '../producer/stream-check.ts';
import type { StreamFault } from '../producer/stream-fault.ts';
import type { AppRedis } from '../redis/keys.ts';
import { type Finding, ok, skipped, wrong } from './finding.ts';

const SHOWN = 5;
/** What Redis says when an ACL forbids a command, also to a script. */
const FORBIDDEN = /NOPERM|no permissions|can't run this command/i;

/** Whether the stream takes events, and whether somebody writes them where no worker reads. */
export async function examineStream(app: AppRedis): Promise<Finding[]> {
  const stream = app.keys.stream;
  return [
    await examined('stream', `The stream ${stream} was`, '+xinfo|stream', async () =>
      streamFinding(await streamFault(app), stream),
    ),
    await examined('stream.name', 'Streams of similar names were', '+scan', async () =>
      strayFinding(await findStrayStreams(app)),
    ),
  ];
}

async function examined(
  name: string,
  what: string,
  right: string,
  look: () => Promise<Finding>,
): Promise<Finding> {
  try {
    return await look();
  } catch (error) {
    const { message } = error as Error;
    if (FORBIDDEN.test(message))
      return skipped(name, `${what} not checked: the Redis user needs ${right} for it (docs/security.md)`);
    return skipped(name, `${what} not checked: ${message}`);
  }
}

export function streamFinding(fault: StreamFault | undefined, stream: string): Finding {
  if (fault === undefined) return ok('stream', `The stream ${stream} takes events`);
  return wrong('stream', fault.text, fault.todo);
}

export function strayFinding({
  streams,
  isWhole,
}: {
  readonly streams: readonly StrayStream[];
  readonly isWhole: boolean;
}): Finding {
  const name = 'stream.name';
  if (streams.length > 0) {
    const shown = streams.slice(0, SHOWN).map(({ name: key, events }) => {
      const count = events === undefined ? '' : ` (${events} ${events === 1 ? 'event' : 'events'})`;
      return shownName(key) + count;
    });
    const more = streams.length > SHOWN ? ` and ${streams.length - SHOWN} more` : '';
    return wrong(
      name,
      `No worker reads these streams, whose names are almost the intake's: ${shown.join(', ')}${more}`,
      'A client puts a prefix before every key, or the braces of the name are missing. Switch the prefix off (docs/produce.md), and push these users again.',
    );
  }
  return isWhole
    ? ok(name, "No other stream has a name like the intake's")
    : skipped(name, "Among the first 200,000 keys no other stream has a name like the intake's");
}
