import { fencesOf, readPage } from '../pages.ts';

/** A part of a runbook below one heading, up to the next heading. */
export interface Entry {
  /** The heading's text. */
  readonly title: string;
  readonly level: number;
  readonly text: string;
  /** What its lines begin with in bold: `Means`, `Users notice`, … */
  readonly fields: readonly string[];
  /** Each command in it once, as it stands there: lines of shell blocks, and code in the text. */
  readonly commands: readonly string[];
  /** Code in the text that holds a space and is no command: what the log or an answer says. */
  readonly quotes: readonly string[];
}

/** Code in the text that begins so is a command. What begins otherwise must be a quote from the source: a test checks it. */
const PROGRAMS =
  /^(?:imsync|redis-cli|curl|docker|kubectl|systemctl|journalctl|systemd-analyze|promtool|psql|set|export|sudo|npm|node|openssl|kill)(?= )/;

export function entriesOf(path: string): Entry[] {
  const { text } = readPage(path);
  return text
    .split(/^(?=#+ )/m)
    .filter((part) => part.startsWith('#'))
    .map((part) => {
      const [, marks = '', title = ''] = /^(#+) (.+)$/m.exec(part) ?? [];
      const lines = fencesOf(part)
        .filter(({ language }) => language === 'sh')
        .flatMap(({ code }) => code.split('\n'))
        .filter((line) => line !== '' && !line.startsWith('#'));
      const prose = part.replace(/^```[\s\S]*?^```/gm, '');
      const spans = [...prose.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
      return {
        title,
        level: marks.length,
        text: part,
        fields: [...part.matchAll(/^- \*\*(.+?)[:：]\*\*/gm)].map(([, field = '']) => field),
        commands: [...new Set([...lines, ...spans.filter((span) => PROGRAMS.test(span))])],
        quotes: spans.filter((span) => span.includes(' ') && !PROGRAMS.test(span)),
      };
    });
}
