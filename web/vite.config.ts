import { defineConfig } from "vite";
import { viteSingleFile } from "vite-plugin-singlefile";

export default defineConfig({
  plugins: [viteSingleFile()],
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    outDir: "../listener/page",
    // The folder is a Python package.
    emptyOutDir: false,
    target: "es2020",
    modulePreload: { polyfill: false },
  },
  // For `npm run dev` beside a listener that runs (leslisten --demo).
  server: { proxy: { "^/(\\?|healthz)": { target: "http://localhost:8765", ws: true } } },
});
