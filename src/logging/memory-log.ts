import { type MemoryLevel, type MemoryWatermark, memoryText } from '../redis/memory-watermark.ts';
import type { Logger } from './log.ts';

const SENTENCES: Readonly<Record<MemoryLevel, string>> = {
  ample: 'there is room for all again',
  high: 'backfill and redrive wait. Raise its maxmemory, or find what fills it',
  full: 'backfill and redrive wait, and the HTTP intake refuses. Raise its maxmemory, or find what fills it',
};
const LOOK_EVERY_MS = 5_000;

/** Says once when Redis's memory passes one of the marks, up or down. Apart from all that writes: that fails when it is full. */
export function startMemoryHerald(
  mark: MemoryWatermark,
  log: Logger,
  onTrouble: (error: Error) => void,
): { close(): void } {
  let said: MemoryLevel = 'ample';
  const look = async (): Promise<void> => {
    const memory = await mark.look();
    const { level, usedRatio } = memory;
    if (level === said) return;
    said = level;
    const fields = {
      memory: level,
      usedRatio: usedRatio === null ? null : Math.round(usedRatio * 1000) / 1000,
    };
    const sentence = `${memoryText(memory)}: ${SENTENCES[level]}`;
    if (level === 'ample') log.info(fields, sentence);
    else if (level === 'high') log.warn(fields, sentence);
    else log.error(fields, sentence);
  };
  const lookNow = (): void => {
    look().catch(onTrouble);
  };
  lookNow();
  const timer = setInterval(lookNow, LOOK_EVERY_MS);
  return { close: () => clearInterval(timer) };
}
