import { expect, test } from "vitest";
import { bar, code, figure, plain, shortened, visible } from "../../server/lsp/markdown.ts";

test("nothing that comes from a file is markup", () => {
  expect(plain("[a](b) <c> `d` | *e* ~f~")).toBe(
    "\\[a\\]\\(b\\) &#60;c&#62; \\`d\\` \\| \\*e\\* \\~f\\~",
  );
  expect(plain("www.a.b x://y")).not.toMatch(/[.:]/);
  expect(plain("&amp;")).toBe("&#38;amp;");
});

test("what is invisible is made visible", () => {
  expect(visible(" a\n\t")).toBe("␣a⏎⇥");
  expect(visible("\u202eabc\u0000")).toBe("\\u202eabc\\u0000");
  expect(visible("\ud83d")).toBe("\\ud83d");
  expect(visible("😀")).toBe("😀");
});

test("code spans hold any text", () => {
  expect(code(" a")).toBe("`␣a`");
  expect(code("a``b")).toBe("``` a``b ```");
});

test("bars, figures, short texts", () => {
  expect([0, 0.5, 1, 7].map(bar)).toEqual(["░░░░░░░░", "████░░░░", "████████", "████████"]);
  expect([12.345, 0, 1e-5, 123456].map(figure)).toEqual(["12.3", "0", "1.00e-5", "123000"]);
  expect(shortened("😀😀😀", 2)).toBe("😀…");
});
