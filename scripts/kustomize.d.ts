// biome-ignore lint/suspicious/noExplicitAny: a resource of any kind
export type Resource = Record<string, any>;
export function build(folder: string): Resource[];
export function readResources(file: string): Resource[];
export function filesOf(folder: string): string[];
