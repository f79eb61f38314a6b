/** The work's end, or the error `tooLate` after `ms`; the work itself goes on. */
export async function within<T>(work: Promise<T>, ms: number, tooLate: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(tooLate)), ms);
  });
  // When it is too late nobody else hears of its failure.
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
