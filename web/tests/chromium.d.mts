export const SWIFTSHADER: readonly string[];
export function chromiumWith(...flags: readonly string[]): { executablePath: string; args: string[] };
