import { type Config, ConfigError, type ReadFile } from '../config/config.ts';
import { hasReceivers, type Receiver, readReceivers } from '../config/receivers.ts';
import type { Notice } from '../notices/notice.ts';
import { send } from '../notices/send.ts';
import { type Finding, ok, skipped, wrong } from './finding.ts';

/** One finding for each receiver of notices. With `sendTest` each of them gets a message. */
export async function examineNotices(
  config: Config,
  readFile: ReadFile,
  sendTest: boolean,
): Promise<Finding[]> {
  if (!hasReceivers(config))
    return [
      sendTest
        ? wrong(
            'notices',
            'No notice was sent: there is no receiver',
            'Set IMSYNC_NOTIFY_URLS.',
            'configuration',
          )
        : skipped('notices', 'Notices are off', 'To be told of holds and dead letters: IMSYNC_NOTIFY_URLS'),
    ];
  try {
    const receivers = readReceivers(config, readFile);
    return await Promise.all(receivers.map((receiver) => examineReceiver(receiver, config, sendTest)));
  } catch (error) {
    // The configuration findings contain its sentences.
    if (error instanceof ConfigError) return [skipped('notices', 'The receivers of notices cannot be read')];
    throw error;
  }
}

async function examineReceiver(receiver: Receiver, { app }: Config, sendTest: boolean): Promise<Finding> {
  const { id, host } = receiver;
  const name = `notices.${id}`;
  if (!sendTest)
    return skipped(
      name,
      `Notices go to ${id} at ${host}, which was not called`,
      'To send a test: imsync doctor --send-test-notice',
    );
  const refusal = await send(receiver, [testNotice(Date.now())], app.sdkAppId);
  if (refusal === undefined) return ok(name, `${id} at ${host} has taken a test notice`);
  return wrong(
    name,
    `${id} at ${host} has not taken the test notice: ${refusal}`,
    'Compare its address, its secret and its rules with docs/notices.md.',
    refusal.startsWith('HTTP') || refusal.startsWith('its answer') ? undefined : 'out-of-reach',
  );
}

function testNotice(nowMs: number): Notice {
  return {
    id: `test-${nowMs}`,
    kind: 'test',
    at: nowMs,
    title: 'A test notice',
    text: 'Somebody has run imsync doctor --send-test-notice. Nothing is wrong.',
    facts: {},
  };
}
