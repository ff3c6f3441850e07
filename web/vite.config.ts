// The page's build. Its root is the repository, so that index.html stands on top and shaders and Rust sources can be shown as they are.
import { fileURLToPath } from "node:url";
import { defineConfig, type UserConfig } from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// The tests of the interface put a worker in the engine's place that answers the same to the same request. It is built to a folder
// of its own and never into dist: vite build --mode stand-in.
const config = (standIn: boolean): UserConfig => ({
  root: here(".."),
  base: "./",
  publicDir: standIn ? here("tests/stand-in/public") : here("public"),
  cacheDir: here("node_modules/.vite"),
  resolve: {
    alias: standIn ? [{ find: /^.*\/worker\?worker&url$/, replacement: `${here("tests/stand-in/worker.ts")}?worker&url` }] : [],
  },
  server: { watch: { ignored: ["**/target/**", "**/crates/**"] } },
  worker: { format: "es" },
  build: {
    outDir: standIn ? here("tests/dist") : here("dist"),
    emptyOutDir: true,
    target: "es2022",
    // The policy of the page allows data: for pictures alone.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 200,
  },
});

export default defineConfig(({ mode }) => config(mode === "stand-in"));
