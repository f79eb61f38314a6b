/** What is wrong and what to do, in two parts. */
export interface StreamFault {
  readonly text: string;
  readonly todo: string;
}

/** What Redis's refusal of an event says about the stream; undefined when it says nothing about it. Pure. */
export function streamFaultOf(reason: string, stream: string): StreamFault | undefined {
  if (/WRONGTYPE/.test(reason))
    return {
      text: `The key ${stream} is no stream, so that Redis takes no events there`,
      todo: `Find out who writes it (redis-cli TYPE), and have that program use another name. Then: redis-cli RENAME '${stream}' old-key`,
    };
  if (/exhausted|equal or smaller than the target/.test(reason))
    return {
      text: `The stream ${stream} has used up its last ID: Redis takes no more events there`,
      todo: `A producer gave an ID of its own, in the place of *. Correct it and let the workers empty the stream. Then: redis-cli DEL '${stream}'`,
    };
  return undefined;
}
