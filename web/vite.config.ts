import { gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const server = process.env["SDGRAPH_SERVER"] ?? "http://127.0.0.1:8188";

/** Writes a compressed copy beside each script and style sheet, which the server gives to browsers that take one. */
function compressed(): Plugin {
  return {
    name: "compressed",
    generateBundle: {
      order: "post", // Vite itself still writes into the scripts before that
      handler(_, files) {
        for (const file of Object.values(files)) {
          if (!/\.(?:js|css)$/.test(file.fileName)) continue;
          const source = gzipSync(file.type === "chunk" ? file.code : file.source, { level: 9 });
          this.emitFile({ type: "asset", fileName: `${file.fileName}.gz`, source });
        }
      },
    },
  };
}

export default defineConfig({
  plugins: [react(), compressed()],
  build: {
    // Inside the Python package, so that the wheel carries the built editor.
    outDir: "../sdgraph/assets/web",
    emptyOutDir: true,
    // The server's Content-Security-Policy allows no inline script and no data: font.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
  },
  worker: { format: "es" },
  server: {
    // `npm run dev` beside a running `sdgraph serve`. The server refuses other origins, so requests take its own.
    proxy: {
      "/api": {
        target: server,
        ws: true,
        changeOrigin: true,
        configure: (proxy) => {
          const own = (request: { setHeader(name: string, value: string): void }) =>
            request.setHeader("origin", server);
          proxy.on("proxyReq", own);
          proxy.on("proxyReqWs", own);
        },
      },
    },
  },
  test: { include: ["src/**/*.test.{ts,tsx}"], environment: "node" },
});
