// A Chromium that cannot resolve any name but loopback, and notes who tried.
import { chromium } from "playwright-core";
import { chromiumPath } from "./places.mjs";

/** Starts it with one page. `outside()`: what was asked of other machines. */
export async function startBrowser({ width = 1440, height = 900 } = {}) {
  const browser = await chromium.launch({
    executablePath: chromiumPath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ],
  });
  const context = await browser.newContext({ viewport: { width, height } });
  const outside = new Set();
  context.on("requestfailed", (request) => {
    if (isOutside(request)) outside.add(`${request.url()} (failed)`);
  });
  context.on("requestfinished", async (request) => {
    // Webview resources have a made-up host; the service worker answers them from the page's own server.
    if (isOutside(request) && !(await request.response())?.fromServiceWorker())
      outside.add(request.url());
  });
  // Machines that run tests are often busy; what is broken fails by a wrong answer, not by a late one.
  context.setDefaultTimeout(180_000);
  const page = await context.newPage();
  return { browser, page, outside: () => [...outside], close: () => browser.close() };
}

function isOutside(request) {
  const { protocol, hostname } = new URL(request.url());
  return protocol.startsWith("http") && hostname !== "127.0.0.1";
}
