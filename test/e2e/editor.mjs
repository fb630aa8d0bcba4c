// What a person does in the workbench: read a line, hover a word, open the palette, look into a page.
import assert from "node:assert/strict";

/** Where editors of files and of notebooks' cells are. */
const editors = ":is(.editor-instance, .notebookOverlay)";

/** Waits until an editor shows a text. */
export async function waitForText(page, text) {
  await page
    .locator(`${editors} .view-line`, { hasText: text })
    .first()
    .waitFor({ timeout: 180_000 });
}

/** The middle of the first (or nth) visible occurrence of a word in the editor. */
export async function wordAt(page, word, nth = 0) {
  const found = await page.evaluate(
    ([text, skip, within]) => {
      const lines = [...document.querySelectorAll(`${within} .view-lines .view-line`)];
      lines.sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top);
      let left = skip;
      for (const line of lines) {
        const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
        const nodes = [];
        for (let node = walker.nextNode(); node; node = walker.nextNode()) nodes.push(node);
        // The editor cuts a line into several nodes and draws blanks as no-break spaces.
        const shown = nodes
          .map((node) => node.data)
          .join("")
          .replaceAll("\u00a0", " ");
        const place = (offset) => {
          let rest = offset;
          for (const node of nodes) {
            if (rest <= node.length) return [node, rest];
            rest -= node.length;
          }
          return [nodes.at(-1), nodes.at(-1).length];
        };
        for (let at = shown.indexOf(text); at >= 0; at = shown.indexOf(text, at + 1)) {
          if (left-- > 0) continue;
          const range = document.createRange();
          range.setStart(...place(at));
          range.setEnd(...place(at + text.length));
          const { x, y, width, height } = range.getBoundingClientRect();
          return { x: x + width / 2, y: y + height / 2 };
        }
      }
      return null;
    },
    [word, nth, editors],
  );
  assert.ok(found, `the editor shows no ${JSON.stringify(word)}`);
  return found;
}

/** Hovers a word until a hover with `expected` in it shows; returns its text with plain blanks. */
export async function hover(page, word, expected, { nth = 0, timeout = 180_000 } = {}) {
  const shown = page.locator(".monaco-hover:not(.hidden)").filter({ hasText: expected }).first();
  const end = Date.now() + timeout;
  // Longer each time: leaving cancels a hover that is still being computed, but one that was asked for before the
  // provider was there never comes.
  for (let patience = 1500; Date.now() < end; patience *= 2) {
    try {
      // A code lens that comes meanwhile moves the text, and what was just typed may not be drawn yet.
      const { x, y } = await wordAt(page, word, nth);
      await page.mouse.move(x, y + 250);
      await page.mouse.move(x - 3, y);
      await page.mouse.move(x, y);
      await shown.waitFor({ timeout: patience });
      return (await shown.innerText()).replaceAll("\u00a0", " ");
    } catch {
      // The provider may not be there yet.
      await page.waitForTimeout(100);
    }
  }
  const seen = await page.locator(".monaco-hover:not(.hidden)").allInnerTexts();
  throw new Error(`no hover on ${word} with ${expected}; hovers: ${JSON.stringify(seen)}`);
}

/**
 * Runs the command of this very title from the palette; another one's may hold the same words. The palette is opened
 * anew until it has it: it does not learn of new commands, or that the workspace is trusted, while it is open. A click
 * opens it wherever the focus is, pages included.
 */
export async function runCommand(page, title) {
  const row = page.locator(`.quick-input-list .monaco-list-row[aria-label^="${title}"]`).first();
  const end = Date.now() + 120_000;
  for (let patience = 3000; ; patience *= 2) {
    await page.locator(".command-center .command-center-center").click();
    await page.locator(".quick-input-widget:visible input.input").fill(`>${title}`);
    try {
      return await row.click({ timeout: patience });
    } catch (error) {
      if (Date.now() > end) throw error;
      await page.keyboard.press("Escape");
    }
  }
}

/** Chooses a row of the list that a command shows. */
export async function chooseRow(page, text) {
  const row = page.locator(".quick-input-list .monaco-list-row", { hasText: text }).first();
  await row.waitFor();
  await row.click();
}

/** The document inside a webview that holds `selector`: page > outer frame > the extension's own. */
export async function webviewFrame(page, selector, timeout = 180_000) {
  const end = Date.now() + timeout;
  while (Date.now() < end) {
    for (const frame of page.frames()) {
      if (!frame.parentFrame()?.parentFrame()) continue;
      try {
        if ((await frame.locator(selector).count()) > 0) return frame;
      } catch {
        // It went away while we asked.
      }
    }
    await page.waitForTimeout(100);
  }
  const urls = page.frames().map((frame) => frame.url().slice(0, 120));
  throw new Error(`no webview holds ${selector}; frames: ${urls.join(", ")}`);
}

/** Waits until `read()` answers what `accept` likes; the last answer is in the error. */
export async function eventually(read, accept, timeout = 180_000) {
  const end = Date.now() + timeout;
  let last;
  while (Date.now() < end) {
    last = await read();
    if (accept(last)) return last;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`still ${JSON.stringify(last)} after ${timeout} ms, wanted ${accept}`);
}
