/** The demo cannot go on; `outOfReach`: something is missing on this machine, rather than broken. */
export class DemoError extends Error {
  override readonly name = 'DemoError';
  readonly outOfReach: boolean;
  constructor(message: string, outOfReach = false) {
    super(message);
    this.outOfReach = outOfReach;
  }
}
