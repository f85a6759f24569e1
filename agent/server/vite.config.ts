// Three builds: `--mode widget` makes static/widget.js, one classic script that pages include; `--mode live` what it loads when somebody
// speaks or listens; `--mode console` makes static/console/.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { defineConfig, type Plugin } from "vite";

const HERE = import.meta.dirname;
const SOURCES = ["package-lock.json", "package.json", "tsconfig.json", "vite.config.ts", "widget", "console"];

/** The digest that tests/agent/server/test_widget_build.py computes too: every source's path and content, in order of path. */
function sourcesDigest(): string {
  const files = SOURCES.flatMap((name) =>
    name.includes(".")
      ? [name]
      : readdirSync(join(HERE, name), { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => relative(HERE, join(entry.parentPath, entry.name))),
  ).sort();
  const digest = createHash("sha256");
  for (const file of files) digest.update(`${file}\0`).update(readFileSync(join(HERE, file))).update("\0");
  return digest.digest("hex");
}

const recordSources: Plugin = {
  name: "record-sources",
  closeBundle: () => writeFileSync(resolve(HERE, "static/built-from.txt"), `${sourcesDigest()}\n`),
};

export default defineConfig(({ mode }) => ({
  // Preact and its signals leave out their development checks.
  define: { "process.env.NODE_ENV": '"production"' },
  plugins: mode === "console" ? [recordSources] : [],
  root: mode === "console" ? resolve(HERE, "console") : HERE,
  base: mode === "console" ? "/console/" : "/",
  build:
    mode === "console"
      ? {
          outDir: resolve(HERE, "static/console"),
          emptyOutDir: true,
          modulePreload: false,
          rollupOptions: {
            input: resolve(HERE, "console/index.html"),
            output: { entryFileNames: "console.js", assetFileNames: "console.[ext]" },
          },
        }
      : {
          outDir: resolve(HERE, "static"),
          emptyOutDir: false,
          lib:
            mode === "live"
              ? {
                  entry: {
                    "widget-live": resolve(HERE, "widget/live/live.ts"),
                    "widget-microphone": resolve(HERE, "widget/live/microphone.ts"),
                  },
                  formats: ["es"],
                }
              : { entry: resolve(HERE, "widget/element.tsx"), name: "Storehand", formats: ["iife"], fileName: () => "widget.js" },
        },
}));
