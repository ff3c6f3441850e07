// How Chromium is begun, by tests and by scripts alike.

/** Without a card there is an adapter in software, for those who ask for it; it wants the new headless mode, which is that of the whole browser. */
export const SWIFTSHADER = ["--headless=new", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];

/** Debian's, or the one that CHROMIUM names. */
export const chromiumWith = (...flags) => ({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: ["--no-sandbox", ...flags] });
