import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const server = process.env["SDGRAPH_SERVER"] ?? "http://127.0.0.1:8188";

export default defineConfig({
  plugins: [react()],
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
