// A page of ours in a browser without VS Code: its own scripts and styles, a made-up host, a theme's variables.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repoRoot } from "./places.mjs";
import { themes } from "./gallery-themes.mjs";

const address = "http://127.0.0.1:9/";
const policy =
  "default-src 'none'; style-src 'self' 'nonce-theme'; font-src 'self'; script-src 'nonce-gallery'";

/**
 * Opens a page over the handlers of fake-pages.mjs. A handler that throws answers with a failure; one that returns
 * a promise that never settles leaves the page waiting.
 */
export async function openPage(
  browser,
  fake,
  { name = "text", theme = "dark", width = 640, height = 900 } = {},
) {
  const context = await browser.newContext({ viewport: { width, height } });
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  await page.exposeFunction("answerOf", async ({ id, method, params }) => {
    try {
      const value = await fake.handlers[method](params);
      return { type: "ok", id, value: value ?? null };
    } catch (error) {
      return { type: "failed", id, failure: { kind: "user", code: "fake", text: error.message } };
    }
  });
  await page.addInitScript(() => {
    let state;
    globalThis.sendEvent = (event, params) =>
      window.dispatchEvent(new MessageEvent("message", { data: { type: "event", event, params } }));
    globalThis.acquireVsCodeApi = () => ({
      getState: () => state,
      setState: (value) => {
        state = value;
        globalThis.savedState = value;
      },
      postMessage: async (message) => {
        if (message.type !== "call") return;
        const data = await globalThis.answerOf(message);
        window.dispatchEvent(new MessageEvent("message", { data }));
      },
    });
  });
  await page.route(`${address}**`, (route) =>
    route.fulfill(fileOf(route.request().url(), { name, theme })),
  );
  await page.goto(address);
  return { page, errors, close: () => context.close() };
}

function fileOf(url, { name: page, theme }) {
  const name = new URL(url).pathname.slice(1);
  if (name === "") return { contentType: "text/html", body: html(page, themes[theme]) };
  const types = { js: "text/javascript", css: "text/css", ttf: "font/ttf" };
  const file = join(repoRoot, "dist/webviews", name);
  return { contentType: types[name.split(".").at(-1)], body: readFileSync(file) };
}

function html(name, { body, variables }) {
  const rules = Object.entries(variables).map(([name, value]) => `--vscode-${name}: ${value};`);
  return `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Page</title>
<meta http-equiv="Content-Security-Policy" content="${policy}">
<link rel="stylesheet" href="/codicon.css"><link rel="stylesheet" href="/${name}.css">
<style nonce="theme">:root { ${rules.join(" ")} } body { background: var(--vscode-editor-background); }</style></head>
<body class="${body}"><div id="page"></div><script nonce="gallery" src="/${name}.js"></script></body></html>`;
}
