import type { Server } from "node:http";
export function serve(folder: string, port: number | string, prefix?: string, others?: Record<string, string>): Promise<Server>;
